"""IngressBackends: who is let in from outside the mesh, where, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.marked import with_authority
from support.objects import (
    endpoint_slice,
    ingress_backend,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    service,
)
from towpath.model.codes import Code
from towpath.model.ingress import Backend, IngressBackend
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Protocol, SidecarId
from towpath.model.plan import Ingress
from towpath.planning import inbound, outbound, problems

RANGE = "192.0.2.0/24"
NGINX = ("ingress", "nginx")
OUTSIDE = (
    namespace("ingress", mesh=None),
    service("nginx", in_namespace="ingress", ips=("10.96.9.9",)),
    pod("nginx", in_namespace="ingress", app="nginx", addresses=("10.0.0.9",)),
    endpoint_slice("nginx", "10.0.0.9", in_namespace="ingress"),
)
TLS = Backend("web", 8080, tls=True)


def test_ranges_and_endpoints_are_let_in_at_that_port_and_no_other() -> None:
    mesh = _mesh(ingress_backend(ranges=(RANGE,), services=(NGINX,)))

    assert {8080: ((Ingress("shop/outside", ("10.0.0.9/32", RANGE)),)), 9090: ()} == _let_in(mesh)
    assert () == problems(mesh)


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (ingress_backend(), None),
        (ingress_backend(ranges=(RANGE,), closed=True), None),
        (ingress_backend(services=(("ingress", "gone"),)), Code.MISSING_SOURCE),
        (ingress_backend("x", Backend("web", 1), ranges=(RANGE,)), Code.MISSING_BACKEND),
        (ingress_backend("x", Backend("gone", 8080), ranges=(RANGE,)), Code.MISSING_BACKEND),
        (ingress_backend("x", TLS, ranges=(RANGE,)), Code.INGRESS_WITHOUT_PRINCIPAL),
        (
            ingress_backend(ranges=(RANGE,), principals=("curl.shop",)),
            Code.INGRESS_WITHOUT_PRINCIPAL,
        ),
        (
            replace(ingress_backend(ranges=(RANGE,)), certified=True),
            Code.INGRESS_WITHOUT_PRINCIPAL,
        ),
        (
            ingress_backend("x", ranges=(RANGE,), in_namespace="ingress"),
            Code.POLICY_OUTSIDE_MESH,
        ),
    ],
)
def test_what_is_missing_or_meaningless_lets_nobody_in(
    policy: IngressBackend, code: Code | None
) -> None:
    mesh = _mesh(policy)

    assert {8080: (), 9090: ()} == _let_in(mesh)
    assert code is None or code in {problem.code for problem in problems(mesh)}


def test_an_address_of_others_or_of_a_node_is_nobodys() -> None:
    policy = ingress_backend(services=(NGINX,))
    other = pod("other", addresses=("10.0.0.9",))
    node = replace(pod("nginx", in_namespace="ingress", addresses=("10.0.0.9",)), host_network=True)
    for also in (other, node):
        mesh = _mesh(policy, also)

        assert () == _let_in(mesh)[8080]


def test_without_the_switch_nobody_is_let_in() -> None:
    mesh = _mesh(ingress_backend(ranges=(RANGE,)), on=False)

    assert () == _let_in(mesh)[8080]
    assert Code.INGRESS_OFF in {problem.code for problem in problems(mesh)}


def test_several_add_up() -> None:
    one, two = ingress_backend("a", ranges=(RANGE,)), ingress_backend("b", ranges=("10.0.0.0/8",))

    assert (Ingress("shop/a", (RANGE,)), Ingress("shop/b", ("10.0.0.0/8",))) == _let_in(
        _mesh(one, two)
    )[8080]


def test_bytes_are_not_let_in() -> None:
    mesh = _mesh(ingress_backend(ranges=(RANGE,)), protocol=Protocol.TCP)

    assert () == _let_in(mesh)[8080]
    assert Code.INGRESS_WITHOUT_REQUESTS in {problem.code for problem in problems(mesh)}


@pytest.mark.parametrize(
    "name", ["curl.shop", "curl.shop.cluster.local", "spiffe://cluster.local/ns/shop/sa/curl"]
)
def test_a_certificate_of_the_mesh_is_named_in_three_ways(name: str) -> None:
    mesh = with_authority(_mesh(ingress_backend("x", TLS, principals=(name,))))
    curl = Account("shop", "curl")

    assert (Ingress("shop/x", (), ("spiffe://cluster.local/ns/shop/sa/curl",)),) == _let_in(mesh)[
        8080
    ]
    # Its own sidecar lets it out there, although no TrafficTarget does.
    assert {"web"} == {one.service for one in outbound(mesh, curl).destinations}
    assert () == outbound(mesh, Account("shop", "other")).destinations


@pytest.mark.parametrize(
    "name", ["curl.away", "curl.shop.other.domain", "spiffe://other/ns/shop/sa/curl", "spiffe://x"]
)
def test_a_certificate_of_another_is_nobodys(name: str) -> None:
    mesh = with_authority(_mesh(ingress_backend("x", TLS, principals=(name,))))

    assert () == _let_in(mesh)[8080]
    assert Code.MISSING_SOURCE in {problem.code for problem in problems(mesh)}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("curl.shop.any.domain", False),
        ("spiffe://any/ns/shop/sa/curl", False),
        ("curl.away", True),
        ("spiffe://any/ns/away/sa/curl", True),
    ],
)
def test_without_an_authority_only_the_namespace_is_looked_at(name: str, *, said: bool) -> None:
    mesh = _mesh(ingress_backend("x", TLS, principals=(name,)))

    assert () == _let_in(mesh)[8080]
    assert said == (Code.MISSING_SOURCE in {problem.code for problem in problems(mesh)})


def test_addresses_that_are_gone_open_a_certificate_to_nobody() -> None:
    policy = ingress_backend("x", TLS, principals=("curl.shop",))
    mesh = with_authority(_mesh(replace(policy, addressed=True)))

    assert () == _let_in(mesh)[8080]


def _mesh(*objects: Object, on: bool = True, protocol: Protocol = Protocol.HTTP) -> Mesh:
    return mesh_of(
        namespace(),
        mesh_config(permissive=False, ingress=on),
        service("web", port(80, protocol), port(81, target=9090)),
        pod("web-1"),
        *OUTSIDE,
        *objects,
    )


def _let_in(mesh: Mesh) -> dict[int, tuple[Ingress, ...]]:
    of = mesh.pod(SidecarId("web-1", "shop"))
    assert of is not None
    return {one.port: one.ingress for one in inbound(mesh, of).ports}
