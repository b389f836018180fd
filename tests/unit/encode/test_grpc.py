"""The vocabulary of gRPC's own clients: what they take, and nothing of a sidecar's."""

from __future__ import annotations

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)

from support.decoded import assignment, cluster, clusters_of, listener, routes, unpacked
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
from towpath.encode.grpc import GrpcVocabulary, clusters, listeners
from towpath.encode.grpc import routes as route_configurations
from towpath.hub.compose import snapshot
from towpath.model.names import ClientKind, SidecarId
from towpath.model.plan import ProxylessTarget, ProxylessTargets
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES

TARGETS = ProxylessTargets((ProxylessTarget("shop", "web", 80, ("web.shop", "web.shop:80")),))
CLUSTER_NAME = "shop/web|80"
WEB = SidecarId(pod="web-1", namespace="shop")


def test_a_listener_has_the_very_name_that_is_asked_for_and_nothing_to_listen_on() -> None:
    layer = listeners(TARGETS)

    assert ["web.shop", "web.shop:80"] == list(layer)
    for name, held in layer.items():
        made = listener(held)
        assert name == made.name
        assert ["name", "api_listener"] == [field.name for field, _ in made.ListFields()]


def test_a_listeners_last_and_only_filter_is_the_router() -> None:
    made = listener(listeners(TARGETS)["web.shop"])
    manager = unpacked(made.api_listener.api_listener, hcm.HttpConnectionManager)

    (only,) = manager.http_filters
    assert only.typed_config.Is(Router.DESCRIPTOR)
    assert only.name
    assert (manager.xff_num_trusted_hops, manager.original_ip_detection_extensions) == (0, [])


def test_each_resource_leads_to_the_next_on_the_same_stream() -> None:
    made = listener(listeners(TARGETS)["web.shop"])
    manager = unpacked(made.api_listener.api_listener, hcm.HttpConnectionManager)
    configuration = routes(route_configurations(TARGETS)[manager.rds.route_config_name])
    (name,) = clusters_of(configuration)
    held = cluster(clusters(TARGETS)[name])

    assert manager.rds.config_source.HasField("ads")
    assert held.type == Cluster.EDS
    assert held.eds_cluster_config.eds_config.HasField("ads")
    assert CLUSTER_NAME == held.name


def test_a_route_serves_any_authority_and_ends_no_call() -> None:
    (host,) = routes(route_configurations(TARGETS)[CLUSTER_NAME]).virtual_hosts
    (route,) = host.routes

    assert ["*"] == list(host.domains)
    assert route.match.WhichOneof("path_specifier") == "prefix"
    assert ["cluster"] == [field.name for field, _ in route.route.ListFields()]


def test_a_cluster_has_no_limit_that_nobody_asked_for() -> None:
    (limits,) = cluster(clusters(TARGETS)[CLUSTER_NAME]).circuit_breakers.thresholds

    assert 2**32 - 1 == limits.max_requests.value


def test_a_client_is_offered_services_with_their_endpoints_and_nothing_of_a_sidecars() -> None:
    held = _snapshot(ClientKind.GRPC)

    assert {"web.shop", "db.shop:80"} < set(held.of(LISTENER))
    named = {CLUSTER_NAME, "shop/db|80", "shop/two|80", "shop/two|81"}
    assert named == set(held.of(ROUTES)) == set(held.of(CLUSTER)) == set(held.of(ENDPOINTS))
    assert not set(held.of(LISTENER)) & set(_snapshot(ClientKind.ENVOY).of(LISTENER))
    assert not set(held.of(ROUTES)) & set(_snapshot(ClientKind.ENVOY).of(ROUTES))


def test_endpoints_are_what_sidecars_are_sent_and_have_what_these_clients_need() -> None:
    held = _snapshot(ClientKind.GRPC).of(ENDPOINTS)

    assert held[CLUSTER_NAME] == _snapshot(ClientKind.ENVOY).of(ENDPOINTS)[CLUSTER_NAME]
    for name in (CLUSTER_NAME, "shop/db|80"):
        (locality,) = assignment(held[name]).endpoints
        assert (locality.priority, locality.load_balancing_weight.value) == (0, 1)
        assert locality.locality.region


def _snapshot(kind: ClientKind) -> Snapshot:
    mesh = mesh_of(
        namespace(),
        mesh_config(egress=True),
        service("web"),
        service("two", port(80, name="a"), port(81, name="b"), ips=("10.96.0.2",)),
        headless("db"),
        endpoint_slice("web", "10.0.0.1", "10.0.0.2"),
        endpoint_slice("db", "10.0.0.3"),
        pod("web-1"),
    )
    held = snapshot(mesh, kind, WEB)
    assert held is not None
    return held


@pytest.mark.parametrize("name", ["web.shop", "web.shop:80", "x.y.svc.cluster.local:1", "x.y"])
def test_a_name_that_a_service_could_have_is_not_forbidden(name: str) -> None:
    assert GrpcVocabulary("").forbidden(LISTENER, name) is None


@pytest.mark.parametrize("name", ["web", "web:80", "api.example.com:443", "10.0.0.1:80", ""])
def test_a_name_that_no_service_can_have_is_refused_with_the_form_and_the_way(name: str) -> None:
    said = GrpcVocabulary("").forbidden(LISTENER, name)

    assert said is not None
    assert "<service>.<namespace>" in said
    assert "dns:///" in said


def test_where_nothing_is_offered_every_name_is_refused_with_the_reason() -> None:
    said = GrpcVocabulary("permissive mode is off").forbidden(LISTENER, "web.shop")

    assert "'web.shop' is not served to gRPC clients: permissive mode is off" == said
    assert GrpcVocabulary("permissive mode is off").forbidden(CLUSTER, "shop/web|80") is None


def test_another_reason_makes_another_snapshot() -> None:
    """Else who asks later would be told of what held before."""
    outside = mesh_of(namespace(mesh=None), mesh_config(), pod("web-1"))
    off = mesh_of(namespace(), mesh_config(permissive=False), pod("web-1"))
    one, other = (snapshot(m, ClientKind.GRPC, WEB) for m in (outside, off))

    assert one is not None
    assert other is not None
    assert one.version == other.version
    assert one != other


def test_what_is_gone_is_replaced_by_what_lets_no_call_through() -> None:
    held = _snapshot(ClientKind.GRPC)
    gone = {
        t: held.vocabulary.revoked(t, "shop/gone|80")
        for t in (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
    }

    assert [CLUSTER] == [type_url for type_url, one in gone.items() if one is None]
    endpoints, configuration, closed = gone[ENDPOINTS], gone[ROUTES], gone[LISTENER]
    assert endpoints is not None
    assert configuration is not None
    assert closed is not None
    manager = unpacked(listener(closed).api_listener.api_listener, hcm.HttpConnectionManager)
    assert [["*"]] == [list(h.domains) for h in manager.route_config.virtual_hosts]
    assert [] == [list(r) for h in manager.route_config.virtual_hosts for r in h.routes]
    assert not assignment(endpoints).endpoints
    (host,) = routes(configuration).virtual_hosts
    assert (["*"], []) == (list(host.domains), list(host.routes))
