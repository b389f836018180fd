"""Permits as policies of RBAC and chains: who calls is told by one proof in each chain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBACPerRoute

from support.decoded import chains, listener, routes, unpacked
from towpath.encode.envoy import inbound_listener, inbound_routes, intersection
from towpath.encode.envoy.names import RBAC_FILTER
from towpath.model.egress import RequestMatch
from towpath.model.names import Account, Protocol
from towpath.model.plan import Inbound, InboundPort, Permit, Request, ServerMtls
from towpath.model.snapshot import Resource

MAY = Permit("shop/t", ("10.0.0.2",), ("spiffe://m/ns/shop/sa/curl",), (RequestMatch("/a"),))
HTTP = InboundPort(8080, Protocol.HTTP, ("shop/web",), permits=(MAY,))
RAW = InboundPort(9000, Protocol.TCP, ("shop/web",), permits=(Permit("shop/t", ("10.0.0.2",), ()),))
MTLS = ServerMtls(Account("shop", "web"))


def _policies(of: Resource) -> dict[str, Any]:
    [host] = routes(of).virtual_hosts
    said = unpacked(host.typed_per_filter_config[RBAC_FILTER], RBACPerRoute)
    return dict(said.rbac.rules.policies)


def _principals(of: Resource) -> list[str]:
    return [
        one.direct_remote_ip.address_prefix or one.authenticated.principal_name.exact
        for policy in _policies(of).values()
        for one in policy.principals
    ]


def test_in_plaintext_the_address_tells_who_calls_and_by_mutual_tls_the_certificate() -> None:
    layer = inbound_routes(Inbound((HTTP,), MTLS))

    assert ["10.0.0.2"] == _principals(layer["rds-inbound.8080"])
    assert ["spiffe://m/ns/shop/sa/curl"] == _principals(layer["rds-inbound-mtls.8080"])


def test_each_chain_follows_the_routes_of_its_proof() -> None:
    made = chains(listener(inbound_listener(Inbound((HTTP,), MTLS))["inbound-listener"]))

    assert "rds-inbound-mtls.8080" in str(made["inbound-mesh.8080"])
    assert "rds-inbound.8080" in str(made["inbound-plain.8080"])
    assert "rds-inbound-mtls.8080" not in str(made["inbound-plain.8080"])


def test_a_permit_that_nobody_can_prove_is_left_out() -> None:
    nobody = InboundPort(
        8080, Protocol.HTTP, ("shop/web",), permits=(Permit("shop/t", (), (), MAY.requests),)
    )

    assert {} == _policies(inbound_routes(Inbound((nobody,)))["rds-inbound.8080"])


def test_the_kubelets_requests_are_beside_the_permits() -> None:
    port = InboundPort(
        8080, Protocol.HTTP, ("shop/web",), permits=(), health=(Request("GET", "/health"),)
    )

    assert ["kubelet"] == list(_policies(inbound_routes(Inbound((port,)))["rds-inbound.8080"]))


def test_bytes_have_a_chain_for_each_address_that_may_send_them() -> None:
    made = chains(listener(inbound_listener(Inbound((RAW,)))["inbound-listener"]))

    assert ["inbound-mesh.9000@10.0.0.2"] == list(made)
    [source] = made["inbound-mesh.9000@10.0.0.2"].filter_chain_match.direct_source_prefix_ranges
    assert ("10.0.0.2", 32) == (source.address_prefix, source.prefix_len.value)


def test_a_client_that_comes_or_goes_changes_the_chain_of_no_other() -> None:
    """Check 68: Envoy drains chains that differ, and all of them if the listener does."""

    def made(*addresses: str) -> Any:
        port = replace(RAW, permits=(Permit("shop/t", addresses, ()),))
        return listener(inbound_listener(Inbound((port,)))["inbound-listener"])

    one, both = made("10.0.0.2"), made("10.0.0.2", "10.0.0.3")
    [name], others = chains(one), chains(both)

    assert chains(one)[name] == others.pop(name)
    assert ["inbound-mesh.9000@10.0.0.3"] == list(others)
    for of in (one, both):
        of.ClearField("filter_chains")
    assert one == both


def test_a_listener_that_lets_nobody_in_closes_in_place_of_the_open_one() -> None:
    shut, wide = (
        InboundPort(9000, Protocol.TCP, ("shop/web",), permits=permits) for permits in ((), None)
    )
    closed, open_ = (
        inbound_listener(Inbound((port,)))["inbound-listener"] for port in (shut, wide)
    )
    met = intersection(open_, closed)

    assert [[]] == [list(chain.filters) for chain in listener(closed).filter_chains]
    left = [] if met is None else [c for c in listener(met).filter_chains if c.filters]
    assert [] == left


def test_what_is_rejected_of_narrower_policies_never_stays_wide() -> None:
    other = InboundPort(
        8080,
        Protocol.HTTP,
        ("shop/web",),
        permits=(Permit("shop/u", ("10.0.0.3",), (), MAY.requests), MAY),
    )
    wide = InboundPort(8080, Protocol.HTTP, ("shop/web",))
    before, anyone, after = (
        inbound_routes(Inbound((port,)))["rds-inbound.8080"] for port in (other, wide, HTTP)
    )
    narrowed, switched = intersection(before, after), intersection(anyone, after)

    assert narrowed is not None
    assert switched is not None
    assert ["shop/t"] == list(_policies(narrowed))
    assert {} == _policies(switched)
