"""What is encoded is what a real Envoy accepts: one run of its validation over many plans."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import envoy
import pytest
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource, ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from google.protobuf.json_format import MessageToJson

from support.decoded import cluster, listener, routes
from support.objects import (
    egress,
    endpoint_slice,
    headless,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    service,
    setting,
)
from towpath.encode.envoy.filters import http_with
from towpath.hub.compose import snapshot
from towpath.model.egress import METHODS, HTTPRouteGroup, RequestMatch
from towpath.model.mesh import Object
from towpath.model.names import ClientKind, Protocol, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, LISTENER, ROUTES

SERVER_FIRST = Protocol.TCP_SERVER_FIRST
WEB = service("web", port(80), port(443, Protocol.HTTPS, target=8443), port(9000, Protocol.TCP))
SQL = service("sql", port(3306, SERVER_FIRST), selector={"app": "web"}, ips=("10.96.0.2",))
SMTP = service("smtp", port(25, SERVER_FIRST, target=25), ips=("10.96.0.3", "10.96.0.4"))
PEERS = (headless("peers", port(80)), endpoint_slice("peers", "10.0.0.1", "10.0.0.2"))
SAME_PODS = (headless("same", port(80)), endpoint_slice("same", "10.0.0.2", "10.0.0.3"))

LARGEST = "/" + "a" * 95
"""The longest plain path that `route_groups` lets through; see the test of its limit."""

REQUESTS = HTTPRouteGroup(
    "shop",
    "requests",
    (
        RequestMatch(LARGEST, METHODS[1:], (("host", "a" * 96), ("x-!#$%&'*+.^_`|~", ".*"))),
        RequestMatch(),
    ),
)
NAMES = ("a.test", "*.a.test", "*.test", "10.1.2.3")
RANGES = ("0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/32")
EVERY_PORT = tuple((number, protocol) for number in (80, 443) for protocol in Protocol)
POLICIES = (
    REQUESTS,
    setting("limits"),
    egress("named", *EVERY_PORT, hosts=NAMES, route_groups=("requests",), setting="limits"),
    egress("ranged", *EVERY_PORT, hosts=NAMES[:2], ranges=RANGES, route_groups=("requests",)),
    egress("other", (81, Protocol.HTTP), (444, Protocol.HTTPS), hosts=NAMES, ranges=RANGES[1:]),
    egress("mail", (25, SERVER_FIRST), hosts=None, ranges=RANGES[1:]),
)

CASES: dict[str, tuple[Object, ...]] = {
    "nothing": (mesh_config(permissive=False),),
    "passthrough alone": (mesh_config(permissive=False, egress=True),),
    "one service": (mesh_config(), WEB),
    "one service and passthrough": (mesh_config(egress=True), WEB),
    "one server-first port": (mesh_config(), WEB, SQL),
    "several server-first ports": (mesh_config(egress=True), WEB, SQL, SMTP),
    "headless": (mesh_config(), *PEERS, *SAME_PODS),
    "everything": (mesh_config(egress=True), WEB, SQL, SMTP, *PEERS, *SAME_PODS),
    "a contested address": (
        mesh_config(),
        WEB,
        service("zoo", port(80), port(81), ips=("10.96.0.1", "10.96.0.9")),
    ),
    "policies": (mesh_config(policies=True), *POLICIES),
    "policies and passthrough": (mesh_config(policies=True, egress=True), WEB, *POLICIES),
    "a listener's own ports": (
        mesh_config(),
        service("odd", port(15001, target=15001), port(15003, Protocol.TCP, target=15003)),
    ),
}


@pytest.fixture(scope="module")
def binary() -> Path:
    found = [Path(folder) / "_bin" / "envoy" for folder in envoy.__path__]
    return next(path for path in found if path.is_file())


def test_every_listener_cluster_and_route_is_accepted_by_envoy(
    binary: Path, tmp_path: Path
) -> None:
    bootstrap = _bootstrap()
    for number, objects in enumerate(CASES.values()):
        for who in ("web-1", "curl"):
            _add(bootstrap, f"{number}.{who}", _snapshot(who, *objects))

    code, said = _validate(binary, bootstrap, tmp_path)

    assert code == 0, said
    assert len(bootstrap.static_resources.listeners) > 50


def test_a_larger_expression_than_we_let_through_is_refused(binary: Path, tmp_path: Path) -> None:
    """And with it all routes beside it: so the limit must not be a wider one."""
    bootstrap = _bootstrap()
    group = HTTPRouteGroup("shop", "requests", (RequestMatch(f"{LARGEST}a"),))
    policy = egress(route_groups=("requests",))
    _add(bootstrap, "case", _snapshot("curl", mesh_config(policies=True), group, policy))

    code, said = _validate(binary, bootstrap, tmp_path)

    assert code != 0
    assert "RE2 program size of 101 > max program size of 100" in said


def test_a_mistake_would_be_found_by_this_validation(binary: Path, tmp_path: Path) -> None:
    """Trap 1: a listener without any chain is refused."""
    bootstrap = _bootstrap()
    _add(bootstrap, "case", _snapshot("curl", *CASES["one service"]))
    bootstrap.static_resources.listeners[0].ClearField("filter_chains")

    code, said = _validate(binary, bootstrap, tmp_path)

    assert code != 0
    assert "no filter chains specified" in said


def _snapshot(who: str, *objects: Object) -> Snapshot:
    mesh = mesh_of(namespace(), pod("web-1"), pod("curl", app="curl"), *objects)
    held = snapshot(mesh, ClientKind.ENVOY, SidecarId(pod=who, namespace="shop"))
    assert held is not None
    return held


def _bootstrap() -> Bootstrap:
    bootstrap = Bootstrap()
    bootstrap.node.id, bootstrap.node.cluster = "web-1.shop", "shop"
    ads = bootstrap.dynamic_resources.ads_config
    ads.api_type, ads.transport_api_version = ApiConfigSource.GRPC, ApiVersion.V3
    ads.grpc_services.append(GrpcService(envoy_grpc={"cluster_name": "ads"}))
    bootstrap.static_resources.clusters.append(Cluster(name="ads", type=Cluster.STATIC))
    return bootstrap


def _add(bootstrap: Bootstrap, case: str, held: Snapshot) -> None:
    """Add a snapshot's resources, under names of the case's own; each route gets a listener."""
    static = bootstrap.static_resources
    known = {one.name for one in static.clusters}
    for one in held.of(CLUSTER).values():
        made = cluster(one)
        if made.name in known:
            made.name = f"{case}.{made.name}"
            if made.HasField("load_assignment"):
                made.load_assignment.cluster_name = made.name
        static.clusters.append(made)
    for made in (*(listener(one) for one in held.of(LISTENER).values()), *_route_listeners(held)):
        made.name = f"{case}.{made.name}"
        made.address.socket_address.address = "127.0.0.1"
        made.address.socket_address.port_value = 20000 + len(static.listeners)
        static.listeners.append(made)


def _route_listeners(held: Snapshot) -> Iterator[Listener]:
    for one in held.of(ROUTES).values():
        filters: list[Filter] = [http_with("routes", routes(one))]
        made = Listener(name=one.name, filter_chains=[FilterChain(filters=filters)])
        made.address.socket_address.address = "127.0.0.1"
        yield made


def _validate(binary: Path, bootstrap: Bootstrap, folder: Path) -> tuple[int, str]:
    config = folder / "bootstrap.json"
    config.write_text(MessageToJson(bootstrap, preserving_proto_field_name=True))
    run = subprocess.run(
        [binary, "--mode", "validate", "--config-path", config, "--log-level", "warning"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr
