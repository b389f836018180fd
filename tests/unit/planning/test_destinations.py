"""In-mesh destinations: how each service is reached, and who keeps a contested address."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.objects import (
    endpoint_slice,
    headless,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    service,
)
from towpath.model.codes import Code
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, ObjectRef, Protocol
from towpath.model.plan import Destination, Endpoint
from towpath.model.problem import Problem
from towpath.model.workloads import Service
from towpath.planning import endpoints, outbound, problems


def _mesh(*objects: Object) -> Mesh:
    return mesh_of(namespace(), mesh_config(), *objects)


def _destinations(mesh: Mesh) -> list[Destination]:
    return list(outbound(mesh, Account("shop", "curl")).destinations)


@pytest.mark.parametrize("protocol", Protocol)
def test_each_port_of_a_service_is_a_destination_with_its_protocol(protocol: Protocol) -> None:
    mesh = _mesh(service("web", port(80), port(9000, protocol, name="other")))

    assert [
        Destination("shop", "web", 80, Protocol.HTTP, ("10.96.0.1",), direct=False),
        Destination("shop", "web", 9000, protocol, ("10.96.0.1",), direct=False),
    ] == _destinations(mesh)


def test_a_service_without_an_address_yet_is_no_destination() -> None:
    assert [] == _destinations(_mesh(service("web", ips=())))


def test_a_headless_service_is_dialled_at_its_endpoints_on_the_target_port() -> None:
    mesh = _mesh(headless("db", port(80)), endpoint_slice("db", "10.0.0.2", "10.0.0.1"))

    assert [
        Destination("shop", "db", 8080, Protocol.HTTP, ("10.0.0.1", "10.0.0.2"), direct=True)
    ] == _destinations(mesh)


def test_a_headless_service_without_endpoints_is_no_destination() -> None:
    assert [] == _destinations(_mesh(headless("db")))


def test_an_address_in_several_slices_is_dialled_once() -> None:
    mesh = _mesh(
        headless("db"),
        endpoint_slice("db", "10.0.0.1", name="one"),
        endpoint_slice("db", "10.0.0.1", "10.0.0.2", name="two"),
    )

    (found,) = _destinations(mesh)
    assert found.addresses == ("10.0.0.1", "10.0.0.2")


def test_a_named_target_port_may_have_another_number_in_each_slice() -> None:
    mesh = _mesh(
        headless("db", port(80, name="sql", target="sql")),
        endpoint_slice("db", "10.0.0.1", name="one", ports={"sql": 5432}),
        endpoint_slice("db", "10.0.0.2", name="two", ports={"sql": 5433}),
    )

    assert [(5432, ("10.0.0.1",)), (5433, ("10.0.0.2",))] == [
        (d.port, d.addresses) for d in _destinations(mesh)
    ]


def test_two_ports_of_a_headless_service_that_lead_to_one_number_are_one_destination() -> None:
    mesh = _mesh(
        headless("db", port(80, name="a", target="a"), port(81, name="b")),
        endpoint_slice("db", "10.0.0.1", name="one", ports={"a": 8080, "b": 8080}),
        endpoint_slice("db", "10.0.0.2", name="two", ports={"a": 9090, "b": 8080}),
    )

    assert [(8080, ("10.0.0.1", "10.0.0.2")), (9090, ("10.0.0.2",))] == [
        (d.port, d.addresses) for d in _destinations(mesh)
    ]


def test_two_headless_services_over_the_same_pods_are_no_conflict() -> None:
    mesh = _mesh(
        headless("db"),
        headless("db-all"),
        endpoint_slice("db", "10.0.0.1"),
        endpoint_slice("db-all", "10.0.0.1", "10.0.0.2"),
    )

    assert [("db", ("10.0.0.1",)), ("db-all", ("10.0.0.2",))] == [
        (d.service, d.addresses) for d in _destinations(mesh)
    ]
    assert () == problems(mesh)


def test_no_two_destinations_share_an_address_and_port() -> None:
    mesh = _mesh(
        service("web", ips=("10.96.0.1", "10.96.0.2")),
        service("later", ips=("10.96.0.2", "10.96.0.1", "10.96.0.3")),
    )

    taken = [(a, d.port) for d in _destinations(mesh) for a in d.addresses]

    assert taken == [("10.96.0.3", 80)]


def test_an_address_that_two_services_claim_is_nobodys_whoever_comes_first() -> None:
    mesh = _mesh(
        namespace("bank"),
        service("web", ips=("10.96.0.1",)),
        service("zoo", in_namespace="bank", ips=("10.96.0.1", "10.96.0.2")),
    )

    assert [("bank/zoo|80", ("10.96.0.2",))] == [(d.name, d.addresses) for d in _destinations(mesh)]
    text = "10.96.0.1 is claimed by Service {} too: nobody reaches it"
    bank, shop = ObjectRef("Service", "bank", "zoo"), ObjectRef("Service", "shop", "web")
    assert (
        Problem(bank, "", Code.CONTESTED_ADDRESS, text.format("shop/web")),
        Problem(shop, "", Code.CONTESTED_ADDRESS, text.format("bank/zoo")),
    ) == problems(mesh)


def test_an_address_that_two_services_claim_on_different_ports_is_nobodys() -> None:
    mesh = _mesh(service("a", port(80)), service("b", port(81)))

    assert [] == _destinations(mesh)
    assert len(problems(mesh)) == 2


def test_a_slice_leads_nobody_out_of_the_mesh() -> None:
    mesh = mesh_of(
        namespace(),
        namespace("bank"),
        mesh_config(),
        headless("db"),
        service("web"),
        pod("db-1", addresses=["10.0.0.1"]),
        pod("safe", in_namespace="bank", addresses=["10.0.0.9"]),
        endpoint_slice("db", "10.0.0.1", "10.0.0.9", "192.0.2.1"),
        endpoint_slice("web", "10.0.0.1", "10.0.0.9", "192.0.2.1"),
        alone=True,
    )

    addresses = {d.service: d.addresses for d in _destinations(mesh)}
    assert addresses == {"db": ("10.0.0.1",), "web": ("10.96.0.1",)}
    assert (Endpoint("10.0.0.1", 8080),) == endpoints(mesh, "shop", "web", 80)
    text = "no Pod of namespace shop has the address 10.0.0.9, 192.0.2.1: not used"
    assert [("db-1", text), ("web-1", text)] == [(p.object.name, p.message) for p in problems(mesh)]


def test_a_pod_that_is_gone_takes_its_address_with_it() -> None:
    held = (namespace(), mesh_config(), headless("db"), endpoint_slice("db", "10.0.0.1"))

    assert [] == _destinations(mesh_of(*held, alone=True))
    assert [] != _destinations(mesh_of(*held, pod("db-1", addresses=["10.0.0.1"]), alone=True))


@pytest.mark.parametrize(
    ("one", "leads"),
    [
        (service("old", selector={}), ("192.0.2.1",)),
        (service("old", selector={"app": "old"}), ()),
        (headless("old"), ()),
        (replace(headless("old"), selector=()), ()),
    ],
)
def test_only_a_service_without_selector_leads_out_where_that_is_allowed(
    one: Service, leads: tuple[str, ...]
) -> None:
    objects = (
        namespace(),
        namespace("bank"),
        mesh_config(),
        one,
        pod("safe", in_namespace="bank", addresses=["10.0.0.9"]),
        endpoint_slice("old", "192.0.2.1", "10.0.0.9"),
    )
    strict = mesh_of(*objects, alone=True)
    lenient = replace(strict, outside_endpoints=True)

    assert () == endpoints(strict, "shop", "old", 80)
    assert leads == tuple(e.address for e in endpoints(lenient, "shop", "old", 80))


def test_an_endpoint_takes_no_address_that_a_service_has() -> None:
    mesh = _mesh(
        namespace("bank"),
        service("web", ips=("10.96.0.1",)),
        headless("db", in_namespace="bank"),
        endpoint_slice("db", "10.96.0.1", in_namespace="bank", ports={"": 80}),
    )

    assert ["shop/web|80"] == [d.name for d in _destinations(mesh)]
    (problem,) = problems(mesh)
    assert problem.object == ObjectRef("Service", "bank", "db")
    assert problem.message == (
        "10.96.0.1 is claimed by Service shop/web too: its endpoint is not used"
    )


@pytest.mark.parametrize("protocol", Protocol)
def test_nobody_says_what_the_port_of_anothers_pod_speaks(protocol: Protocol) -> None:
    """Two pods in the network of one node share its address."""
    mesh = mesh_of(
        namespace("bank"),
        namespace("shop"),
        mesh_config(),
        headless("db", port(5432, Protocol.TCP)),
        headless("web", port(80, protocol), in_namespace="bank"),
        pod("db-1", addresses=["10.0.0.1"]),
        pod("web-1", in_namespace="bank", addresses=["10.0.0.1"]),
        endpoint_slice("db", "10.0.0.1", ports={"": 5432}),
        endpoint_slice("web", "10.0.0.1", in_namespace="bank", ports={"": 5432}),
    )

    agree = protocol is Protocol.TCP
    assert [protocol] * agree == [d.protocol for d in _destinations(mesh)]
    assert len(problems(mesh)) == (0 if agree else 2)


def test_endpoints_are_sorted_and_each_is_there_once() -> None:
    mesh = _mesh(
        service("web", port(80)),
        endpoint_slice("web", "10.0.0.9", "10.0.0.1", name="one"),
        endpoint_slice("web", "10.0.0.1", name="two"),
    )

    assert (Endpoint("10.0.0.1", 8080), Endpoint("10.0.0.9", 8080)) == endpoints(
        mesh, "shop", "web", 80
    )


def test_endpoints_of_a_port_are_those_of_the_slice_port_of_its_name() -> None:
    mesh = _mesh(
        service("web", port(80, name="http"), port(81, name="admin")),
        endpoint_slice("web", "10.0.0.1", ports={"http": 8080, "admin": 8081}),
        endpoint_slice("web", "10.0.0.2", name="unrelated", ports={"": 1}),
    )

    assert (Endpoint("10.0.0.1", 8081),) == endpoints(mesh, "shop", "web", 81)


def test_endpoints_of_a_service_or_port_that_does_not_exist_are_none() -> None:
    mesh = _mesh(service("web", port(80)), endpoint_slice("ghost", "10.0.0.1"))

    assert () == endpoints(mesh, "shop", "ghost", 80)
    assert () == endpoints(mesh, "shop", "web", 81)
