"""The vocabulary of gRPC's own clients: what they take, and nothing of a sidecar's."""

from __future__ import annotations

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
from towpath.encode.grpc import clusters, listeners
from towpath.encode.grpc import routes as route_configurations
from towpath.hub.compose import snapshot
from towpath.model.names import ClientKind, SidecarId
from towpath.model.plan import Target, Targets
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES

TARGETS = Targets((Target("shop", "web", 80, ("web.shop", "web.shop:80")),))
CLUSTER_NAME = "shop/web|80"


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
    held = snapshot(mesh, kind, SidecarId(pod="web-1", namespace="shop"))
    assert held is not None
    return held
