"""What the switch would refuse, by plan, on ports of which nobody reports who calls."""

from __future__ import annotations

from dataclasses import replace

from support.objects import (
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    route_group,
    service,
    tcp_route,
    traffic_target,
)
from towpath.answers.foreseen import foreseen
from towpath.model.inmesh import RouteReference
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Kind, Protocol
from towpath.model.observation import EgressObservation

CURL, OTHER = Account("shop", "curl"), Account("shop", "other")
TARGET = (traffic_target(), route_group("get", "/get"))
BYTES = RouteReference(Kind.TCP_ROUTE, "bytes")


def _mesh(*objects: Object, permissive: bool = True, reports: bool = False) -> Mesh:
    """`web`, whose pods speak HTTP on 8080 and bytes on 9000; `curl`, `other`, one outside."""
    switches = mesh_config(permissive=permissive)
    if reports:
        switches = replace(switches, observe_egress=EgressObservation.REPORTS)
    ports = (port(80, Protocol.HTTP), port(90, Protocol.TCP, target=9000, name="bytes"))
    return mesh_of(
        namespace(),
        switches,
        service("web", *ports),
        pod("web-1", account="web", addresses=("10.0.0.1",)),
        pod("curl", account="curl", app="curl", addresses=("10.0.0.2",)),
        pod("other", account="other", app="other", addresses=("10.0.0.3",)),
        pod("far", in_namespace="bank", account="far", addresses=("10.0.0.4",)),
        *objects,
    )


def _foreseen(mesh: Mesh) -> dict[int, tuple[int, tuple[Account, ...]]]:
    return {one.port: (one.granted, one.callers) for one in foreseen(mesh, 10)}


def test_the_accounts_that_no_target_lets_in_are_foreseen_by_port() -> None:
    assert {8080: (1, (OTHER,)), 9000: (0, (CURL, OTHER))} == _foreseen(_mesh(*TARGET))


def test_a_port_that_lets_in_everybody_is_not_listed() -> None:
    both = traffic_target("bytes", BYTES, sources=(CURL, OTHER))

    assert {8080: (1, (OTHER,))} == _foreseen(_mesh(*TARGET, both, tcp_route("bytes", 9000)))


def test_where_sidecars_report_only_bytes_are_foreseen() -> None:
    assert {9000: (0, (CURL, OTHER))} == _foreseen(_mesh(*TARGET, reports=True))


def test_where_nobody_counts_nothing_is_foreseen() -> None:
    assert {} == _foreseen(_mesh(*TARGET, permissive=False)) == _foreseen(_mesh())


def test_of_many_the_ports_that_let_in_the_fewest_come_first_and_ten_callers_are_named() -> None:
    many = [
        pod(f"pod-{number}", account=f"many-{number:02}", app="many", addresses=())
        for number in range(20)
    ]
    mesh = _mesh(*TARGET, *many)
    (first,) = foreseen(mesh, 1)

    assert (9000, 0, 22) == (first.port, first.granted, first.refused)
    assert 10 == len(first.callers)
