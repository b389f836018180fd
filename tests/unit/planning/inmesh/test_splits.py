"""TrafficSplits: who shares what is sent to a root, and what is said of those who cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.objects import (
    headless,
    mesh_config,
    mesh_of,
    namespace,
    port,
    route_group,
    service,
    traffic_split,
)
from towpath.model.codes import Reason
from towpath.model.egress import RequestMatch
from towpath.model.inmesh import TrafficSplit
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Protocol
from towpath.model.plan import Branch
from towpath.planning import outbound, problems

V1, V2, ROOT = "shop/v1|80", "shop/v2|80", "shop/web|80"


def _mesh(*objects: Object, protocol: Protocol = Protocol.HTTP) -> Mesh:
    """A mesh with web, v1 and v2, of which *objects* take the place where they have a name."""
    services = {
        (type(one), one.namespace, one.name): one
        for one in (
            *(
                service(name, port(80, protocol), ips=(f"10.96.0.{number}",))
                for number, name in enumerate(("web", "v1", "v2"), start=1)
            ),
            *objects,
        )
    }
    return mesh_of(namespace(), mesh_config(), *services.values())


def _branches(mesh: Mesh, name: str = ROOT) -> tuple[Branch, ...]:
    reachable = mesh.query(outbound, Account("shop", "curl")).destinations
    [one] = [one for one in reachable if one.name == name]
    return one.branches


def _shares(mesh: Mesh, name: str = ROOT) -> list[tuple[tuple[str, int], ...]]:
    return [branch.shares for branch in _branches(mesh, name)]


def _said(mesh: Mesh, split: TrafficSplit) -> list[tuple[Reason, str]]:
    return [(one.reason, one.field) for one in problems(mesh) if one.object == split.ref]


def test_what_is_sent_to_the_root_is_shared_and_backends_keep_their_own_name() -> None:
    mesh = _mesh(traffic_split("s", ("v1", 90), ("v2", 10)))

    assert [((V1, 90), (V2, 10))] == _shares(mesh)
    assert [] == _shares(mesh, V1) == _shares(mesh, V2)


def test_a_weight_of_0_is_no_share() -> None:
    assert [((V1, 3),)] == _shares(_mesh(traffic_split("s", ("v1", 3), ("v2", 0))))


@pytest.mark.parametrize(
    "backends", [(("v1", 0), ("v2", 0)), (("gone", 1),), (("short", 1),), (("db", 1),)]
)
def test_where_nothing_is_left_it_never_goes_back_to_the_root(
    backends: tuple[tuple[str, int], ...],
) -> None:
    split = traffic_split("s", *backends)
    short = service("short", port(81), ips=("10.96.0.9",))
    mesh = _mesh(split, short, headless("db", port(80)))

    assert [()] == _shares(mesh)
    assert (Reason.INVALID, "spec.backends") in _said(mesh, split)


@pytest.mark.parametrize(
    ("backend", "reason"),
    [("gone", Reason.MISSING), ("short", Reason.MISSING), ("db", Reason.NOT_ENFORCEABLE)],
)
def test_a_backend_that_cannot_be_used_is_left_out_and_the_others_stay(
    backend: str, reason: Reason
) -> None:
    split = traffic_split("s", ("v1", 1), (backend, 1))
    short = service("short", port(81), ips=("10.96.0.9",))
    mesh = _mesh(split, short, headless("db", port(80)))

    assert [((V1, 1),)] == _shares(mesh)
    assert [(reason, "spec.backends")] == _said(mesh, split)


def test_the_root_may_be_a_backend_and_a_backends_own_split_is_not_followed() -> None:
    mesh = _mesh(
        traffic_split("a", ("web", 1), ("v1", 1)), traffic_split("b", ("v2", 1), root="v1")
    )

    assert [((V1, 1), (ROOT, 1))] == _shares(mesh)
    assert [((V2, 1),)] == _shares(mesh, V1)


@pytest.mark.parametrize("selector", [{}, {"app": "v1"}])
def test_a_root_may_select_the_backends_pods_or_none(selector: dict[str, str]) -> None:
    root = service("web", port(80), ips=("10.96.0.1",), selector=selector)
    split = traffic_split()
    mesh = _mesh(root, split)

    assert [((V1, 50), (V2, 50))] == _shares(mesh)
    assert [] == [one for one in problems(mesh) if one.object in (root.ref, split.ref)]


def test_the_oldest_unconditional_split_holds_and_the_others_are_told() -> None:
    old = traffic_split("z", ("v1", 1), created="2024-01-01T00:00:00Z")
    new = traffic_split("a", ("v2", 1), created="2025-01-01T00:00:00Z")
    mesh = _mesh(new, old)

    assert [((V1, 1),)] == _shares(mesh)
    assert [] == _said(mesh, old)
    assert [(Reason.CONFLICT, "spec.service")] == _said(mesh, new)


def test_of_two_of_one_age_the_first_by_name_holds() -> None:
    mesh = _mesh(traffic_split("b", ("v2", 1)), traffic_split("a", ("v1", 1)))

    assert [((V1, 1),)] == _shares(mesh)


def test_what_conditional_splits_are_about_goes_first_and_the_rest_to_the_root() -> None:
    group = route_group("get", "/a", "/b")
    mesh = _mesh(group, traffic_split("s", ("v2", 1), route_groups=("get",)))

    matches = (RequestMatch("/a"), RequestMatch("/b"))
    assert (Branch("shop/s", matches, ((V2, 1),)), Branch("", (), ((ROOT, 1),))) == _branches(mesh)


def test_conditional_splits_are_tried_by_age_before_the_one_for_all() -> None:
    splits = (
        traffic_split("all", ("v1", 1)),
        traffic_split("new", ("v1", 1), route_groups=("get",), created="2025-01-01T00:00:00Z"),
        traffic_split("old", ("v2", 1), route_groups=("get",), created="2024-01-01T00:00:00Z"),
    )
    mesh = _mesh(route_group("get"), *splits)

    assert ["shop/old", "shop/new", "shop/all"] == [one.policy for one in _branches(mesh)]


def test_a_group_of_another_namespace_does_not_count() -> None:
    split = traffic_split("s", ("v2", 1), route_groups=("get",))
    mesh = _mesh(split, namespace("bank"), route_group("get", in_namespace="bank"))

    assert () == _branches(mesh)
    assert [(Reason.MISSING, "spec.matches")] == _said(mesh, split)


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.TCP_SERVER_FIRST, Protocol.HTTPS])
def test_bytes_are_shared_by_the_split_for_all_alone(protocol: Protocol) -> None:
    conditional = traffic_split("c", ("v2", 1), route_groups=("get",))
    mesh = _mesh(conditional, traffic_split("s", ("v1", 1)), route_group("get"), protocol=protocol)

    assert [Branch("shop/s", (), ((V1, 1),))] == list(_branches(mesh))
    assert [(Reason.NOT_ENFORCEABLE, "spec.matches")] == _said(mesh, conditional)


def test_a_closed_split_divides_nothing() -> None:
    assert () == _branches(_mesh(replace(traffic_split(), closed=True)))


@pytest.mark.parametrize(
    ("root", "reason"), [("gone", Reason.MISSING), ("db", Reason.NOT_ENFORCEABLE)]
)
def test_a_root_that_nobody_can_dial_is_told(root: str, reason: Reason) -> None:
    split = traffic_split("s", ("v1", 1), root=root)

    assert [(reason, "spec.service")] == _said(_mesh(split, headless("db", port(80))), split)


def test_a_split_outside_the_mesh_has_no_effect() -> None:
    split = traffic_split("s", in_namespace="bank")

    assert [(Reason.NOT_IN_MESH, "metadata.namespace")] == _said(_mesh(split), split)


def test_a_backend_whose_address_is_contested_still_has_its_share() -> None:
    other = service("thief", port(80), ips=("10.96.0.2",))
    mesh = _mesh(other, traffic_split("s", ("v1", 1)))
    reachable = mesh.query(outbound, Account("shop", "curl")).destinations

    assert [((V1, 1),)] == _shares(mesh)
    assert [()] == [one.addresses for one in reachable if one.name == V1]
