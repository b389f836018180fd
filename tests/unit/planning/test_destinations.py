"""In-mesh destinations: how each service is reached, and who keeps a contested address."""

from __future__ import annotations

import pytest

from support.objects import (
    endpoint_slice,
    headless,
    mesh_config,
    mesh_of,
    namespace,
    port,
    service,
)
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, ObjectRef, Protocol
from towpath.model.plan import Destination, Endpoint
from towpath.model.problem import Problem, Reason
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

    assert len(taken) == len(set(taken))
    assert {"10.96.0.1", "10.96.0.2", "10.96.0.3"} == {address for address, _ in taken}


def test_a_contested_address_is_kept_by_the_first_by_name_and_the_other_has_a_problem() -> None:
    mesh = _mesh(
        namespace("bank"),
        service("web", ips=("10.96.0.1",)),
        service("zoo", in_namespace="bank", ips=("10.96.0.1",)),
    )

    assert ["bank/zoo|80"] == [d.name for d in _destinations(mesh)]
    assert (
        Problem(
            ObjectRef("Service", "shop", "web"),
            "spec.ports",
            Reason.CONFLICT,
            "10.96.0.1:80 already belongs to Service bank/zoo; connections to it are that "
            "service's",
        ),
    ) == problems(mesh)


def test_one_address_on_two_ports_is_no_conflict() -> None:
    mesh = _mesh(service("a", port(80)), service("b", port(81)))

    assert ["shop/a|80", "shop/b|81"] == [d.name for d in _destinations(mesh)]
    assert () == problems(mesh)


def test_without_a_ready_endpoint_those_that_end_but_serve_are_used() -> None:
    last = endpoint_slice("web", name="one", ending=["10.0.0.1"])

    alone = _mesh(service("web"), last)
    relieved = _mesh(service("web"), last, endpoint_slice("web", "10.0.0.2", name="two"))

    assert (Endpoint("10.0.0.1", 8080),) == endpoints(alone, "shop", "web", 80)
    assert (Endpoint("10.0.0.2", 8080),) == endpoints(relieved, "shop", "web", 80)


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
