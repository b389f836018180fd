"""A real Envoy's judgement of snapshots: all they hold in one bootstrap, validated at once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import envoy
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource, ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from google.protobuf.json_format import MessageToJson

from support.decoded import cluster, listener, routes
from towpath.encode.envoy.filters import http_with
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, LISTENER, ROUTES


def binary() -> Path:
    """The Envoy that is installed here."""
    paths = [Path(folder) / "_bin" / "envoy" for folder in envoy.__path__]
    return next(path for path in paths if path.is_file())


def empty_bootstrap() -> Bootstrap:
    """A bootstrap to which snapshots are added."""
    bootstrap = Bootstrap()
    bootstrap.node.id, bootstrap.node.cluster = "web-1.shop", "shop"
    ads = bootstrap.dynamic_resources.ads_config
    ads.api_type, ads.transport_api_version = ApiConfigSource.GRPC, ApiVersion.V3
    ads.grpc_services.append(GrpcService(envoy_grpc={"cluster_name": "ads"}))
    bootstrap.static_resources.clusters.append(Cluster(name="ads", type=Cluster.STATIC))
    return bootstrap


def add(bootstrap: Bootstrap, case: str, snapshot: Snapshot) -> None:
    """Add a snapshot's resources, under names of the case's own; each route gets a listener."""
    static = bootstrap.static_resources
    names = {one.name for one in static.clusters}
    for one in snapshot.of(CLUSTER).values():
        resource = cluster(one)
        if resource.name in names:
            resource.name = f"{case}.{resource.name}"
            if resource.HasField("load_assignment"):
                resource.load_assignment.cluster_name = resource.name
        static.clusters.append(resource)
    for resource in (
        *(listener(one) for one in snapshot.of(LISTENER).values()),
        *_route_listeners(snapshot),
    ):
        resource.name = f"{case}.{resource.name}"
        resource.address.socket_address.address = "127.0.0.1"
        resource.address.socket_address.port_value = 20000 + len(static.listeners)
        static.listeners.append(resource)


def _route_listeners(snapshot: Snapshot) -> Iterator[Listener]:
    for one in snapshot.of(ROUTES).values():
        filters: list[Filter] = [http_with("routes", routes(one))]
        message = Listener(name=one.name, filter_chains=[FilterChain(filters=filters)])
        message.address.socket_address.address = "127.0.0.1"
        yield message


def validate(bootstrap: Bootstrap, folder: Path) -> tuple[int, str]:
    """The exit code of `envoy --mode validate`, and what it said."""
    config = folder / "bootstrap.json"
    config.write_text(MessageToJson(bootstrap, preserving_proto_field_name=True))
    run = subprocess.run(
        [binary(), "--mode", "validate", "--config-path", config, "--log-level", "warning"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr
