"""The shape that a pod must have to be read: what of it is looked at, and of which type."""

from __future__ import annotations

from typing import Any

import msgspec

from towpath.inject.refusal import Refused
from towpath.sources.decode.findings import show

MOST_CONTAINERS = 500


class _Port(msgspec.Struct, frozen=True, rename="camel"):
    name: str | None = None
    container_port: int | None = None
    protocol: str | None = None


class _Question(msgspec.Struct, frozen=True, rename="camel"):
    port: int | str | None = None
    host: str | None = None
    path: str | None = None
    scheme: str | None = None
    service: str | None = None
    http_headers: list[dict[str, str]] | None = None


class _Probe(msgspec.Struct, frozen=True, rename="camel"):
    http_get: _Question | None = None
    tcp_socket: _Question | None = None
    grpc: _Question | None = None
    timeout_seconds: int | None = None


class _Mount(msgspec.Struct, frozen=True):
    name: str | None = None


Amounts = dict[str, str | int | float]


class _Resources(msgspec.Struct, frozen=True):
    requests: Amounts | None = None
    limits: Amounts | None = None


class _Container(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    restart_policy: str | None = None
    ports: list[_Port] | None = None
    resources: _Resources | None = None
    volume_mounts: list[_Mount] | None = None
    liveness_probe: _Probe | None = None
    readiness_probe: _Probe | None = None
    startup_probe: _Probe | None = None


class _Volume(msgspec.Struct, frozen=True):
    name: str


class _System(msgspec.Struct, frozen=True):
    name: str | None = None


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    containers: list[_Container]
    init_containers: list[_Container] | None = None
    volumes: list[_Volume] | None = None
    resources: _Resources | None = None
    host_network: bool | None = None
    dns_policy: str | None = None
    os: _System | None = None
    node_selector: dict[str, str] | None = None


class _Metadata(msgspec.Struct, frozen=True):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Pod(msgspec.Struct, frozen=True):
    spec: _Spec
    metadata: _Metadata = _Metadata()


def checked(raw: object) -> dict[str, Any]:
    """The pod itself, if all that is read of it has the right type. Raises Refused."""
    if not isinstance(raw, dict):
        raise Refused(f"the pod is {show(raw)}: allowed: a mapping")
    try:
        spec = msgspec.convert(raw, _Pod).spec
    except msgspec.ValidationError as error:
        raise Refused(f"the pod cannot be read: {error}") from error
    count = len(spec.containers) + len(spec.init_containers or ())
    if count > MOST_CONTAINERS:
        raise Refused(f"the pod has {count:,} containers: allowed: at most {MOST_CONTAINERS}")
    return raw
