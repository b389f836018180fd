"""Snapshots where TrafficTargets decide: endpoints of a service before pods of several accounts."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from support.decoded import assignment
from support.marked import marked_pod, with_authority
from support.objects import (
    endpoint_slice,
    headless,
    ingress_backend,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    route_group,
    service,
    tcp_route,
    traffic_split,
    traffic_target,
)
from support.running_hub import RunningHub
from support.sidecar_plan import sidecar_plan
from towpath.encode.endpoints import load_assignment
from towpath.hub.compose import snapshot
from towpath.hub.queries import Queries
from towpath.model.inmesh import RouteReference
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, ClientKind, Kind, Protocol, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.model.types import ENDPOINTS
from towpath.planning import outbound

CURL, OTHER = Account("shop", "curl"), Account("shop", "other")
NEW, OLD = "10.0.0.1", "10.0.0.4"
BOTH = [NEW, OLD]
TO_NEW = traffic_target("new", destination="new", sources=(CURL, OTHER))
TO_OLD = traffic_target("old", destination="old")


def _mesh(*objects: Object, permissive: bool = False) -> Mesh:
    """A Service `web` before a pod of `new` and one of `old`."""
    return mesh_of(
        namespace(),
        mesh_config(permissive=permissive, ingress=True),
        service("web", port(80, Protocol.HTTP)),
        endpoint_slice("web", *BOTH),
        pod("web-1", account="new", addresses=(NEW,)),
        pod("web-2", account="old", addresses=(OLD,)),
        pod("curl", account="curl", app="curl", addresses=("10.0.0.2",)),
        pod("other", account="other", app="other", addresses=("10.0.0.3",)),
        route_group("get"),
        *objects,
    )


def _endpoints(
    mesh: Mesh | Queries, name: str = "shop/web|80", *, who: str = "curl"
) -> list[str] | None:
    """What the sidecar of that pod is sent; None for no assignment at all."""
    queries = mesh if isinstance(mesh, Queries) else Queries(mesh)
    held = queries.get(snapshot, ClientKind.ENVOY, SidecarId(who, "shop"))
    assert held is not None
    return _addresses(held, name) if name in held.of(ENDPOINTS) else None


def _addresses(held: Snapshot, name: str = "shop/web|80") -> list[str]:
    localities = assignment(held.of(ENDPOINTS)[name]).endpoints
    return [
        endpoint.endpoint.address.socket_address.address
        for locality in localities
        for endpoint in locality.lb_endpoints
    ]


@pytest.mark.parametrize(
    ("targets", "addresses"),
    [((), None), ((TO_NEW,), [NEW]), ((TO_OLD,), [OLD]), ((TO_NEW, TO_OLD), BOTH)],
)
def test_endpoints_are_those_of_accounts_that_grant_something(
    targets: tuple[Object, ...], addresses: list[str] | None
) -> None:
    assert addresses == _endpoints(_mesh(*targets))
    assert BOTH == _endpoints(_mesh(*targets, permissive=True))


def test_what_counts_is_what_is_granted_on_the_port_that_is_dialled() -> None:
    """Of two ports each has the pods of the account that grants something there, or nobody."""
    ports = (port(80, Protocol.HTTP), port(81, Protocol.HTTP, name="b", target=8081))
    third = port(82, Protocol.TCP, name="c", target=8082)
    route = RouteReference(Kind.HTTP_ROUTE_GROUP, "get")
    first = traffic_target(
        "first", route, RouteReference(Kind.TCP_ROUTE, "first"), destination="new"
    )
    second = traffic_target(
        "second", route, RouteReference(Kind.TCP_ROUTE, "second"), destination="old"
    )
    mesh = _mesh(
        first,
        second,
        tcp_route("first", 8080),
        tcp_route("second", 8081, 8089),
        service("web", *ports, third),
        endpoint_slice("web", *BOTH, ports={"": 8080, "b": 8081, "c": 8082}),
    )

    assert [NEW] == _endpoints(mesh)
    assert [OLD] == _endpoints(mesh, "shop/web|81")
    assert None is _endpoints(mesh, "shop/web|82")


def test_pods_that_end_are_called_if_no_other_grants_anything() -> None:
    ends = endpoint_slice("web", OLD, ending=(NEW,))

    assert [NEW] == _endpoints(_mesh(TO_NEW, ends))
    assert [OLD] == _endpoints(_mesh(TO_NEW, TO_OLD, ends))


def test_where_no_endpoint_grants_anything_all_of_them_refuse() -> None:
    """The pod that does is not ready: 403 says more than 503."""
    assert [OLD] == _endpoints(_mesh(TO_NEW, endpoint_slice("web", OLD)))


def test_who_is_let_in_as_ingress_is_sent_all_of_them() -> None:
    named = ingress_backend("named", principals=("curl.shop.cluster.local",))

    assert BOTH == _endpoints(with_authority(_mesh(TO_NEW, named)))


def test_a_share_of_a_split_that_grants_nothing_keeps_its_endpoints() -> None:
    backends = (
        service("root", port(80, Protocol.HTTP), ips=("10.96.0.8",), selector={}),
        service("else", port(80, Protocol.HTTP), ips=("10.96.0.9",), selector={"app": "else"}),
        endpoint_slice("else", "10.0.0.9"),
        pod("else-1", account="else", app="else", addresses=("10.0.0.9",)),
        traffic_split("s", ("web", 1), ("else", 1), root="root"),
    )
    mesh = _mesh(TO_NEW, *backends)

    assert [NEW] == _endpoints(mesh)
    assert ["10.0.0.9"] == _endpoints(mesh, "shop/else|80")


def test_of_a_headless_service_only_the_addresses_of_such_pods_are_dialled() -> None:
    direct = headless("db", port(80, Protocol.HTTP, target=8080))
    slice_ = endpoint_slice("db", *BOTH)
    pods = (
        pod("db-1", app="db", account="new", addresses=(NEW,)),
        pod("db-2", app="db", account="old", addresses=(OLD,)),
    )
    mesh = _mesh(TO_NEW, direct, slice_, *pods)

    dialled = {one.name: one.addresses for one in mesh.query(outbound, CURL).destinations}
    assert (NEW,) == dialled["shop/db|8080"]


def test_what_is_left_of_a_service_is_called_by_mutual_tls_as_all_of_it_was() -> None:
    pods = (
        marked_pod("web-1", account="new", addresses=[NEW]),
        marked_pod("web-2", account="old", addresses=[OLD]),
        marked_pod("curl", app="curl", account="curl", addresses=["10.0.0.2"]),
    )
    plan = sidecar_plan(with_authority(_mesh(TO_NEW, *pods)), SidecarId("curl", "shop"))

    assert plan is not None
    assert plan.outbound.mtls is not None
    assert plan.outbound.destinations == plan.outbound.mtls.destinations


def test_equal_endpoints_are_encoded_once_for_all_accounts() -> None:
    old_of_others = traffic_target("gone", destination="gone", sources=(OTHER,))
    gone = pod("web-3", account="gone")
    mesh = Queries(_mesh(TO_NEW, old_of_others, gone))
    with patch("towpath.hub.compose.load_assignment", wraps=load_assignment) as encoded:
        both = [_endpoints(mesh, who=who) for who in ("curl", "other")]

    assert [[NEW], [NEW]] == both
    assert 1 == encoded.call_count


async def test_a_stream_is_told_of_endpoints_that_a_target_opens_and_of_nothing_else(
    running: RunningHub,
) -> None:
    await running.holds(*_mesh(TO_NEW).objects.values())
    stream = running.attach("curl", endpoints=frozenset({"shop/web|80"}))
    before, _ = await stream.next()
    running.store.apply(TO_OLD)
    await running.published()
    after, _ = await stream.next()

    assert before.version == after.version
    assert ([NEW], BOTH) == (_addresses(before), _addresses(after))
