"""What is let in from outside the mesh, in Envoy's form: beside what is granted, and no more."""

from __future__ import annotations

from dataclasses import replace

from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBACPerRoute

from support.decoded import listener, named_by_listeners, routes, unpacked
from towpath.encode.envoy import inbound_listener, inbound_routes
from towpath.encode.envoy.names import RBAC_FILTER
from towpath.encode.envoy.permits import INGRESS, ingress
from towpath.encode.envoy.rbac import EVERYTHING
from towpath.model.egress import RequestMatch
from towpath.model.names import Account, Protocol
from towpath.model.plan import Inbound, InboundPort, Ingress, Permit, Request, ServerMtls

PLAIN, NAMED = Ingress("shop/i", ("10.0.0.0/8",)), Ingress("shop/i", (), ("spiffe://a",))
GRANT = Permit("shop/i", ("10.0.0.2",), ("spiffe://b",), (RequestMatch(),))
PORT = InboundPort(8080, Protocol.HTTP, ("shop/web",), ingress=(PLAIN, NAMED))
PROBE = Request("GET", "/health")
STRICT = ServerMtls(Account("shop", "web"), strict=True, probes=(replace(PORT, probes=(PROBE,)),))
IN = f"{INGRESS}shop/i#0"


def test_in_permissive_mode_everything_is_let_in_as_before() -> None:
    assert {EVERYTHING} == _policies(Inbound((PORT,)), "rds-inbound.8080")


def test_beside_grants_plaintext_is_told_by_address_and_tls_by_certificate() -> None:
    let_in = Inbound((replace(PORT, permits=(GRANT,)),), replace(STRICT, strict=False))

    assert {"shop/i", IN} == _policies(let_in, "rds-inbound.8080")
    assert {"shop/i", IN} == _policies(let_in, "rds-inbound-mtls.8080")
    assert not let_in.open


def test_in_strict_mode_plaintext_is_that_of_the_sources_and_the_kubelet() -> None:
    for permits in (None, (GRANT,)):
        let_in = Inbound((replace(PORT, permits=permits),), STRICT)
        chains = listener(inbound_listener(let_in)["inbound-listener"]).filter_chains

        assert ["inbound-mesh.8080", "inbound-plain.8080"] == [chain.name for chain in chains]
        assert {IN, "kubelet"} == _policies(let_in, "rds-inbound.8080")
        assert not let_in.open


def test_without_plaintext_from_outside_what_comes_by_a_chain_that_drains_is_the_kubelets() -> None:
    probes = tuple(replace(one, ingress=(NAMED,)) for one in STRICT.probes)
    let_in = Inbound((replace(PORT, ingress=(NAMED,)),), replace(STRICT, probes=probes))
    _, in_use = named_by_listeners([inbound_listener(let_in)["inbound-listener"]])

    assert let_in.open
    assert {"kubelet"} == _policies(let_in, "rds-inbound.8080")
    assert {EVERYTHING} == _policies(let_in, "rds-inbound-mtls.8080")
    assert {"rds-inbound-mtls.8080", "rds-inbound-probes.8080"} == in_use


def test_all_conditions_of_an_entry_hold_together() -> None:
    both = Ingress("shop/i", ("10.0.0.0/8",), ("spiffe://a",), ("web.test",))
    [policy] = ingress((both,)).values()
    [principal] = policy.principals
    addresses, names = principal.and_ids.ids

    assert ["web.test"] == [one.requested_server_name.exact for one in policy.permissions]
    assert [8] == [one.direct_remote_ip.prefix_len.value for one in addresses.or_ids.ids]
    assert ["spiffe://a"] == [one.authenticated.principal_name.exact for one in names.or_ids.ids]


def test_an_entry_never_takes_the_place_of_a_target_of_the_same_name() -> None:
    assert "shop/i" not in ingress((PLAIN, NAMED))
    assert 2 == len(ingress((PLAIN, NAMED)))


def _policies(let_in: Inbound, name: str) -> set[str]:
    [host] = routes(inbound_routes(let_in)[name]).virtual_hosts
    config = unpacked(host.typed_per_filter_config[RBAC_FILTER], RBACPerRoute)
    return set(config.rbac.rules.policies)
