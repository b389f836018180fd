"""Snapshots of a mesh: a function of the objects, whatever the order in which they came."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.objects import (
    endpoint_slice,
    fill,
    headless,
    ingress_backend,
    mesh_config,
    mesh_of,
    namespace,
    new_store,
    pod,
    pods_behind,
    port,
    route_group,
    service,
    setting,
    tcp_route,
    traffic_split,
    traffic_target,
)
from support.sidecar_plan import sidecar_plan
from towpath.hub.compose import snapshot
from towpath.hub.queries import Queries
from towpath.model.inmesh import RouteReference
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, ClientKind, Kind, Protocol, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, SHORT_NAMES

CURL = SidecarId(pod="curl", namespace="shop")
WEB = SidecarId(pod="web-1", namespace="shop")
NAMED: tuple[Object, ...] = (
    namespace("shop"),
    namespace("bank"),
    namespace("legacy", mesh=None),
    mesh_config(egress=True),
    service("web", port(80), port(3306, Protocol.TCP_SERVER_FIRST, name="db", target="db")),
    service("api", port(81, Protocol.TCP), selector={"app": "web"}, ips=("10.96.0.2",)),
    service("contested", in_namespace="bank", ips=("10.96.0.2", "10.96.0.9")),
    headless("vault", port(80, name="a", target="a"), in_namespace="bank"),
    service("old", in_namespace="legacy", ips=("10.96.0.7",)),
    endpoint_slice("web", "10.0.0.2", "10.0.0.1", name="one", ports={"": 8080, "db": 1}),
    endpoint_slice("web", "10.0.0.3", "10.0.0.2", name="two"),
    endpoint_slice("vault", "10.0.1.1", in_namespace="bank", name="v1", ports={"a": 1}),
    endpoint_slice("vault", "10.0.1.2", in_namespace="bank", name="v2", ports={"a": 2}),
    endpoint_slice("ghost", "10.0.1.3"),
    pod("web-1", ports={"db": 3306}),
    pod("web-2"),
    pod("curl", app="curl"),
)
OBJECTS = (*NAMED, *pods_behind(*NAMED))

BUYER, THIEF = Account("shop", "curl"), Account("bank", "thief")
POLICIES: tuple[Object, ...] = (
    namespace("shop"),
    namespace("bank"),
    mesh_config(permissive=False, retries=True, ingress=True),
    service("web", port(80), port(90, Protocol.TCP, name="db", target=3306)),
    service("api", port(80), selector={"app": "api"}, ips=("10.96.0.2",)),
    endpoint_slice("web", "10.0.0.1", ports={"": 8080, "db": 3306}),
    endpoint_slice("api", "10.0.0.4"),
    pod("web-1", account="web", addresses=("10.0.0.1",)),
    pod("api-1", account="web", app="api", addresses=("10.0.0.4",)),
    pod("curl", account="curl", app="curl", addresses=("10.0.0.3", "10.0.0.2")),
    pod("thief", account="thief", app="thief", in_namespace="bank", addresses=("10.0.1.1",)),
    traffic_target("a", sources=(BUYER, THIEF)),
    traffic_target("b", RouteReference(Kind.TCP_ROUTE, "ports"), sources=(THIEF, BUYER)),
    traffic_target("c", sources=(BUYER,)),
    route_group("get", "/b", "/a"),
    tcp_route("ports", 3306),
    traffic_split("old", ("api", 1), ("web", 2), created="2024-01-01T00:00:00Z"),
    traffic_split("new", ("web", 1), created="2025-01-01T00:00:00Z"),
    traffic_split("some", ("api", 1), route_groups=("get",)),
    ingress_backend("x", ranges=("192.0.2.0/24", "198.51.100.0/24")),
    ingress_backend("y", ranges=("203.0.113.0/24",)),
    setting("first", service="web"),
    setting("second", service="web", max_connections=9),
)


def _content(mesh: Mesh) -> list[tuple[str, ...] | tuple[str, bytes]]:
    """Every version, and every byte, of the snapshots of two sidecars and a gRPC client."""
    content: list[tuple[str, ...] | tuple[str, bytes]] = []
    asked = ((ClientKind.ENVOY, CURL), (ClientKind.ENVOY, WEB), (ClientKind.GRPC, CURL))
    for kind, who in asked:
        held = snapshot(mesh, kind, who)
        assert held is not None
        content.append(("snapshot", held.version))
        for type_url in SHORT_NAMES:
            content.append((type_url, held.of(type_url).version))
            content.extend((name, held.of(type_url)[name].packed) for name in held.of(type_url))
    return content


EXPECTED = _content(mesh_of(*OBJECTS))
DECIDED = _content(mesh_of(*POLICIES))


@settings(max_examples=examples(40))
@given(order=st.permutations(OBJECTS), gone_for_a_while=st.sets(st.sampled_from(OBJECTS)))
def test_the_order_in_which_objects_came_changes_no_byte_and_no_version(
    order: list[Object], gone_for_a_while: set[Object]
) -> None:
    store = new_store()
    fill(store, *order)
    for obj in gone_for_a_while:
        store.delete(obj.kind, obj.namespace, obj.name)
    store.drain()
    for obj in gone_for_a_while:
        store.apply(obj)

    assert EXPECTED == _content(store.drain()[0])


@settings(max_examples=examples(20))
@given(order=st.permutations(POLICIES))
def test_the_order_in_which_policies_came_changes_no_byte_and_no_version(
    order: list[Object],
) -> None:
    """Check 40 of in-mesh policy."""
    assert DECIDED == _content(mesh_of(*order))
    for policy in ("shop/a", "shop/c", "@10.0.0.3", "ingress/shop/x", "shop/api|80"):
        assert any(policy.encode() in one[-1] for one in DECIDED if isinstance(one[-1], bytes))


def test_another_process_makes_the_same_bytes() -> None:
    """Python's own hashes differ from process to process; nothing may hang on them."""
    program = (
        "from unit.hub import test_compose as t; import hashlib; "
        "print(hashlib.sha256(repr(t.EXPECTED).encode()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(printed) == 1


def test_a_pod_that_does_not_exist_has_no_plan_and_no_snapshot() -> None:
    mesh = mesh_of(*OBJECTS)
    nobody = SidecarId(pod="nobody", namespace="shop")

    assert sidecar_plan(mesh, nobody) is None
    assert snapshot(mesh, ClientKind.ENVOY, nobody) is None


def test_sidecars_of_one_plan_have_one_snapshot() -> None:
    others = pod("other", app="curl", account="other"), pod("twin", app="curl")
    queries = Queries(mesh_of(*OBJECTS, *others))
    sidecars = CURL, SidecarId("other", "shop"), SidecarId("twin", "shop")
    plans = [queries.get(sidecar_plan, sidecar) for sidecar in sidecars]
    snapshots = [queries.get(snapshot, ClientKind.ENVOY, sidecar) for sidecar in sidecars]

    assert plans[0] == plans[1] == plans[2]
    assert snapshots[0] is snapshots[1]
    assert snapshots[0] is snapshots[2]
    assert queries.get(sidecar_plan, WEB) != plans[0]
    assert queries.get(snapshot, ClientKind.ENVOY, WEB) is not snapshots[0]


def test_only_destinations_with_an_address_of_their_own_have_endpoints() -> None:
    assert ["bank/contested|80", "shop/web|3306", "shop/web|80"] == _names(CURL, ENDPOINTS)
    assert {"bank/vault|1", "bank/vault|2"} < set(_names(CURL, CLUSTER))


def test_a_pod_with_nothing_allowed_has_the_statistics_listener_alone() -> None:
    mesh = mesh_of(namespace(), mesh_config(permissive=False), pod("curl", app="curl"))
    held = snapshot(mesh, ClientKind.ENVOY, CURL)

    assert held is not None
    assert ["prometheus-listener"] == list(held.of(LISTENER))


def test_the_switch_is_one_change_of_the_outbound_listener_alone() -> None:
    off = _of(mesh_of(*_with(mesh_config(egress=False))))
    on = _of(mesh_of(*_with(mesh_config(egress=True))))

    changed = {t: on.of(t).changed_since(off.of(t)) for t in SHORT_NAMES}

    assert {"outbound-listener"} == changed.pop(LISTENER)
    assert not any(changed.values())


def _of(mesh: Mesh) -> Snapshot:
    held = snapshot(mesh, ClientKind.ENVOY, CURL)
    assert held is not None
    return held


def _with(config: Object) -> Iterable[Object]:
    return (config if obj.kind is config.kind else obj for obj in OBJECTS)


def _names(who: SidecarId, type_url: str) -> list[str]:
    held = snapshot(mesh_of(*OBJECTS), ClientKind.ENVOY, who)
    assert held is not None
    return sorted(held.of(type_url))
