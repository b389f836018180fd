"""Whom Pipy's scripts let in where policies decide: never more than is granted, and all bytes."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.pipy_scripts import lets_in
from towpath.encode.pack import unpack
from towpath.encode.pipy import config
from towpath.encode.pipy.config import access_and_chains, spec
from towpath.encode.pipy.inbound import closed_to_policies, inbound
from towpath.model.codes import Code
from towpath.model.egress import RequestMatch
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Protocol
from towpath.model.plan import Inbound, InboundPort, Ingress, Permit, Request
from towpath.planning.egress.decide import Attempt, matches
from towpath_api.v1.pipy import to_json
from towpath_api.v1.sidecar_pb2 import SidecarConfig

ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3", "192.0.2.9")
ANYTHING, GET = RequestMatch(), RequestMatch("/a", ("GET",))
PROBE = Request("GET", "/health")
ATTEMPTS = tuple(
    Attempt(None, number, Protocol.HTTP, "shop", method, path)
    for number in (8080, 8081)
    for method in ("GET", "PUT")
    for path in ("/a", "/b", "/health")
) + tuple(Attempt(None, number, Protocol.TCP) for number in (8080, 8081))


@st.composite
def permits(draw: st.DrawFn) -> Permit:
    addresses = draw(st.sets(st.sampled_from(ADDRESSES), max_size=2))
    requests = draw(st.sampled_from(((ANYTHING,), (GET,), (GET, ANYTHING))))
    return Permit("shop/t", tuple(sorted(addresses)), ("spiffe://a",), requests)


@st.composite
def ports(draw: st.DrawFn, number: int) -> InboundPort:
    protocol = draw(st.sampled_from((Protocol.HTTP, Protocol.TCP)))
    ingress = (Ingress("shop/i", ("192.0.2.0/24",)), Ingress("shop/n", (), ("spiffe://a",)))
    return InboundPort(
        number,
        protocol,
        ("shop/web",),
        permits=draw(st.none() | st.lists(permits(), max_size=3).map(tuple)),
        health=draw(st.sampled_from(((), (), (PROBE,)))) if protocol is Protocol.HTTP else (),
        ingress=draw(st.sampled_from(((), ingress))) if protocol is Protocol.HTTP else (),
    )


@settings(max_examples=examples(200))
@given(ports(8080), ports(8081))
def test_the_scripts_let_in_what_is_granted_whole_and_nothing_else(
    first: InboundPort, second: InboundPort
) -> None:
    let_in = Inbound((first, second))
    written = _written(let_in)
    for port in let_in.ports:
        for attempt in (one for one in ATTEMPTS if one.port == port.port):
            for caller in ADDRESSES:
                seen = lets_in(written, caller, attempt)
                if port.protocol is not Protocol.HTTP:
                    assert seen == _granted(port, caller, attempt)
                elif attempt.protocol is Protocol.HTTP:
                    assert not seen or _granted(port, caller, attempt)
                    whole = port.permits is None or not port.health
                    asked = Attempt(None, port.port, Protocol.HTTP, "shop", "PATCH", "/else")
                    if whole and _granted(port, caller, asked):
                        assert seen


@settings(max_examples=examples(100))
@given(ports(8080))
def test_a_policy_that_the_scripts_do_not_carry_out_has_a_problem(port: InboundPort) -> None:
    let_in = Inbound((port,))
    written = _written(let_in)
    problems = [one for one in closed_to_policies(let_in) if one.code is Code.PIPY_CANNOT]
    lost = [
        (caller, attempt)
        for caller in ADDRESSES
        for attempt in ATTEMPTS
        if attempt.port == port.port and attempt.protocol is port.protocol
        if _granted(port, caller, attempt) and not lets_in(written, caller, attempt)
    ]

    assert problems or not [one for one in lost if one[1].path != "/health"]


def _written(let_in: Inbound) -> dict[str, object]:
    """The `config.json` of a sidecar that lets this in."""
    whole = config(
        "a.b",
        spec(MeshConfig(), passthrough=False),
        inbound(let_in),
        access_and_chains(let_in),
    )
    message = SidecarConfig()
    assert unpack(whole).Unpack(message)
    result: dict[str, object] = json.loads(to_json(message))
    return result


def _granted(port: InboundPort, caller: str, attempt: Attempt) -> bool:
    """Straight from the permits."""
    if port.permits is None:
        return True
    if port.protocol is not Protocol.HTTP:
        return any(caller in permit.addresses for permit in port.permits)
    if (attempt.method, attempt.path) in {(one.method, one.path) for one in port.health}:
        return True
    if port.ingress and caller.startswith("192.0.2."):
        return True
    return any(
        caller in permit.addresses and any(matches(match, attempt) for match in permit.requests)
        for permit in port.permits
    )
