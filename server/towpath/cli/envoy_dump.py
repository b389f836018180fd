"""What an Envoy itself says that it has: the `config_dump` of its admin port, as resources."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from envoy.config.cluster.v3.cluster_pb2 import Cluster as ClusterMessage
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from google.protobuf.json_format import ParseDict, ParseError

from towpath.cli.forwards import forwarded
from towpath.cli.place import Cluster, Place
from towpath.cli.server import TIMEOUT_S, NoAnswer
from towpath.encode.pack import resource
from towpath.model.names import SidecarId
from towpath.model.ports import ADMIN_PORT
from towpath.model.snapshot import Resource

PATH = "/config_dump?include_eds"


@dataclass(frozen=True, slots=True)
class Part:
    """Where a dump has the resources of one type: a list of entries, in each what leads to the
    resource, and the field that is its name.
    """

    entries: str
    path: tuple[str, ...]
    name: str
    message: Any


PARTS = (
    Part("dynamic_listeners", ("active_state", "listener"), "name", Listener),
    Part("dynamic_active_clusters", ("cluster",), "name", ClusterMessage),
    Part("dynamic_route_configs", ("route_config",), "name", RouteConfiguration),
    Part("dynamic_endpoint_configs", ("endpoint_config",), "cluster_name", ClusterLoadAssignment),
    Part("dynamic_active_secrets", ("secret",), "name", Secret),
)


def envoy_resources(
    place: Place, sidecar: SidecarId, address: str | None
) -> dict[tuple[str, str], Resource]:
    """What the sidecar's Envoy has, by type URL and name; from its admin port at *address*, else
    through a port-forward to its pod. NoAnswer if that cannot be reached.
    """
    try:
        with _connection(place, sidecar, address) as connection:
            connection.request("GET", PATH)
            answer = connection.getresponse()
            text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(
            f"the admin port of the Envoy of {sidecar} cannot be reached: {error}: see that the "
            f"pod runs and has an Envoy, or forward its port {ADMIN_PORT} yourself (kubectl "
            f"port-forward -n {sidecar.namespace} {sidecar.pod} {ADMIN_PORT}) and give "
            f"--envoy-address 127.0.0.1:{ADMIN_PORT}"
        ) from error
    try:
        return dict(_resources(json.loads(text)["configs"]))
    except (ValueError, LookupError, TypeError, ParseError) as error:
        raise NoAnswer(
            f"what answers as the Envoy of {sidecar} is none, or one that Towpath does not know: "
            f"no usable config_dump (HTTP status {answer.status}): {error}"
        ) from error


@contextlib.contextmanager
def _connection(
    place: Place, sidecar: SidecarId, address: str | None
) -> Iterator[http.client.HTTPConnection]:
    if address is not None:
        with contextlib.closing(http.client.HTTPConnection(address, timeout=TIMEOUT_S)) as one:
            yield one
        return
    if not isinstance(place, Cluster):
        raise click.UsageError(
            "--envoy goes through a cluster's API server, and --server is none: give "
            "--envoy-address as well, where the admin port of that Envoy can be reached"
        )
    with (
        forwarded(place, sidecar.namespace, sidecar.pod, ADMIN_PORT) as (path, trouble),
        contextlib.closing(_UnixConnection(path)) as one,
    ):
        try:
            yield one
        except (OSError, http.client.HTTPException) as error:
            raise OSError(trouble() or str(error)) from error


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


def _resources(
    configs: list[Mapping[str, Any]],
) -> Iterator[tuple[tuple[str, str], Resource]]:
    for config in configs:
        for part in PARTS:
            for entry in config.get(part.entries, ()):
                value: Any = entry
                for key in part.path:
                    value = value.get(key) if isinstance(value, dict) else None
                if isinstance(value, dict):
                    one = _resource(value, part)
                    yield (one.type_url, one.name), one


def _resource(value: Mapping[str, Any], part: Part) -> Resource:
    fields = {key: one for key, one in value.items() if key != "@type"}
    # A newer Envoy has fields that this does not know.
    message = ParseDict(fields, part.message(), ignore_unknown_fields=True)
    return resource(getattr(message, part.name), message)
