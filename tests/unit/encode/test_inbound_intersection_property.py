"""Whatever two meshes say of who comes in, what stands in between lets in nobody whom the new one
keeps out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.inbound_judge import Incoming, lets_in
from towpath.encode.envoy import EnvoyVocabulary, inbound_listener, inbound_routes
from towpath.model.egress import RequestMatch
from towpath.model.identity import TLS_DEFAULTS, TlsParameters
from towpath.model.limits import Rate, RateLimits, RequestLimit
from towpath.model.names import Account, Protocol
from towpath.model.plan import Inbound, InboundPort, Ingress, Permit, Request, ServerMtls
from towpath.model.snapshot import Resource
from towpath.model.types import ROUTES

PORTS = (8080, 9000)
LIVE = Request("GET", "/live")
CALLERS = {f"10.0.0.{number}": f"spiffe://mesh/ns/shop/sa/{number}" for number in (1, 2)}
OUTSIDE = "10.9.0.1"
REQUESTS = [
    Incoming(port, address, method, path, name, host)
    for address, names in [*((a, ("", n)) for a, n in CALLERS.items()), (OUTSIDE, ("",))]
    for name in names
    for host in (("shop.test", "other.test") if name else ("",))
    for port, method, path in product(PORTS, ("GET", "POST", "CONNECT"), ("/live", "/a", "/b"))
]
LIMITED = RequestLimit(Rate(1, 1))

granted = st.sampled_from(
    (RequestMatch(), RequestMatch("/a"), RequestMatch("/live"), RequestMatch(methods=("GET",)))
)
permits = st.lists(st.tuples(st.sampled_from(sorted(CALLERS)), granted), max_size=2).map(
    lambda some: tuple(
        Permit(f"shop/{number}", (address,), (CALLERS[address],), (request,))
        for number, (address, request) in enumerate(some)
    )
)
ingress = st.sets(
    st.sampled_from(
        (
            Ingress("shop/plain", ("10.9.0.0/16",)),
            Ingress("shop/tls", (), (CALLERS["10.0.0.2"],)),
            Ingress("shop/host", (), (CALLERS["10.0.0.1"],), ("shop.test",)),
        )
    )
).map(lambda some: tuple(sorted(some)))
limits = st.sampled_from(
    (RateLimits(), RateLimits(Rate(1, 1)), RateLimits(None, LIMITED, (("/a", LIMITED),)))
)


@st.composite
def ports(draw: st.DrawFn, number: int) -> InboundPort:
    probed = draw(st.sampled_from(((), (LIVE,))))
    if draw(st.integers(0, 4)) == 0:
        return InboundPort(number, Protocol.HTTP, (), probes=probed)
    protocol = draw(st.sampled_from((Protocol.HTTP, Protocol.HTTP, Protocol.TCP)))
    decided = draw(st.one_of(st.none(), permits))
    return InboundPort(
        number,
        protocol,
        ("shop/web",),
        permits=decided,
        health=() if decided is None else probed,
        limits=draw(limits),
        ingress=draw(ingress) if protocol is Protocol.HTTP else (),
        shadow=draw(st.one_of(st.none(), permits)) if decided is None else None,
        reports=draw(st.booleans()),
    )


@st.composite
def plans(draw: st.DrawFn) -> Inbound:
    numbers = draw(st.sampled_from((PORTS, PORTS[:1], PORTS[1:])))
    held = tuple(draw(ports(number)) for number in numbers)
    services = [port for port in held if port.probes is None]
    if not services or draw(st.booleans()):
        return Inbound(held)
    account = Account("shop", draw(st.sampled_from(("web", "web", "other"))))
    strict = draw(st.booleans())
    probes = tuple(replace(one, probes=one.health) for one in services if strict and one.health)
    parameters = draw(st.sampled_from((TLS_DEFAULTS, TlsParameters("TLSv1_3"))))
    return Inbound(held, ServerMtls(account, strict, probes, parameters))


def _between(
    vocabulary: EnvoyVocabulary, held: Mapping[str, Resource], fresh: Mapping[str, Resource]
) -> dict[str, Resource]:
    """What stands in for what is new, and for routes that are gone."""
    both = {n: vocabulary.intersection(held[n], fresh[n]) for n in held.keys() & fresh.keys()}
    both |= {name: vocabulary.revoked(ROUTES, name) for name in held.keys() - fresh.keys()}
    return {name: resource for name, resource in both.items() if resource is not None}


@settings(max_examples=examples(60))
@given(old=plans(), new=plans())
def test_nobody_comes_in_meanwhile_whom_the_new_plan_keeps_out(old: Inbound, new: Inbound) -> None:
    """Whether the listener, the routes, or both are still in between; and what stands in between
    has all of itself in common with the new, as `Intersections` remembers.
    """
    [(name, fresh)] = inbound_listener(new).items()
    after = dict(inbound_routes(new))
    vocabulary = EnvoyVocabulary(open=new.open)
    routes = _between(vocabulary, inbound_routes(old), after)
    between = _between(vocabulary, inbound_listener(old), {name: fresh}).get(name)
    newest = routes | after
    for request in REQUESTS:
        if request.name and new.mtls is None:
            continue  # nothing there takes mutual TLS
        if not lets_in(fresh, newest, request):
            assert not lets_in(between, routes, request), request
            assert not lets_in(between, newest, request), request
            assert not lets_in(fresh, routes, request), request

    again = vocabulary.intersection
    assert between is None or between == again(between, fresh)
    for one, resource in after.items():
        assert one not in routes or routes[one] == again(routes[one], resource)
