"""The fields of Kubernetes' own kinds that Towpath reads, as typed structs.

Every field may be null or absent, as Kubernetes sends it; fields not listed here are skipped.
The same structs serve decoded YAML (`read_struct`) and JSON bytes (`msgspec.json.decode`).
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from towpath.sources.decode.findings import Findings

T = TypeVar("T", bound=msgspec.Struct)


class Metadata(msgspec.Struct, frozen=True):
    name: str | None = None
    namespace: str | None = None
    labels: dict[str, str] | None = None
    # Only an API server's count; a file may say what it likes.
    uid: object = None
    resource_version: object = msgspec.field(default=None, name="resourceVersion")


class Core(msgspec.Struct, frozen=True):
    """What every kind has."""

    metadata: Metadata | None = None


class Annotated(Metadata, frozen=True):
    annotations: dict[str, str] | None = None


class Namespace(Core, frozen=True):
    metadata: Annotated | None = None


class Plain(Core, frozen=True):
    """A kind of which only the metadata matters."""


class ServicePort(msgspec.Struct, frozen=True, rename="camel"):
    name: str | None = None
    port: int | None = None
    target_port: int | str | None = None
    protocol: str | None = None
    app_protocol: str | None = None


class ServiceSpec(msgspec.Struct, frozen=True):
    type: str | None = None
    external_name: str | None = msgspec.field(default=None, name="externalName")
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    cluster_ips: list[str] | None = msgspec.field(default=None, name="clusterIPs")
    ip_families: list[str] | None = msgspec.field(default=None, name="ipFamilies")
    ports: list[ServicePort] | None = None
    selector: dict[str, str] | None = None


class Service(Core, frozen=True):
    spec: ServiceSpec | None = None


class Conditions(msgspec.Struct, frozen=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(msgspec.Struct, frozen=True):
    addresses: list[str] | None = None
    conditions: Conditions | None = None


class EndpointPort(msgspec.Struct, frozen=True):
    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class EndpointSlice(Core, frozen=True, rename="camel"):
    address_type: str | None = None
    endpoints: list[Endpoint] | None = None
    ports: list[EndpointPort] | None = None


class ContainerPort(msgspec.Struct, frozen=True, rename="camel"):
    name: str | None = None
    container_port: int | None = None
    protocol: str | None = None


class ProbedPort(msgspec.Struct, frozen=True):
    """`httpGet`, `tcpSocket` or `grpc`; each has some of these fields."""

    port: int | str | None = None
    host: str | None = None
    path: str | None = None
    scheme: str | None = None


class Probe(msgspec.Struct, frozen=True, rename="camel"):
    """A probe, or a hook of a container's life."""

    http_get: ProbedPort | None = None
    tcp_socket: ProbedPort | None = None
    grpc: ProbedPort | None = None


class Lifecycle(msgspec.Struct, frozen=True, rename="camel"):
    post_start: Probe | None = None
    pre_stop: Probe | None = None


class Container(msgspec.Struct, frozen=True, rename="camel"):
    ports: list[ContainerPort] | None = None
    restart_policy: str | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    service_account_name: str | None = None
    host_network: bool | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None


class PodAddress(msgspec.Struct, frozen=True):
    ip: str | None = None


class PodStatus(msgspec.Struct, frozen=True):
    phase: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: list[PodAddress] | None = msgspec.field(default=None, name="podIPs")


class Pod(Core, frozen=True):
    spec: PodSpec | None = None
    status: PodStatus | None = None


_ERROR = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`)?", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(?P<types>[^`]*)`")
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+|\.\.\.)\]")
_WORDS = {
    "int": "an integer",
    "str": "a string",
    "bool": "true or false",
    "object": "a mapping",
    "array": "a list",
}


def read_struct(raw: object, struct: type[T], findings: Findings) -> T | None:
    """Read *raw* as *struct*; a wrong type is a Problem, and None."""
    try:
        return msgspec.convert(raw, struct)
    except msgspec.ValidationError as error:
        _report(str(error), raw, findings)
        return None


def _report(error: str, raw: object, findings: Findings) -> None:
    parts = _ERROR.fullmatch(error)
    what, path = (parts["what"], parts["path"] or "") if parts else (error, "")
    field, value = _follow(path, raw)
    if parts and parts["key"]:
        value = next((key for key in value if not isinstance(key, str)), value)  # type: ignore[attr-defined]
    expected = _EXPECTED.match(what)
    if expected is None:
        findings.unused(field, value, allowed=what)
        return
    types = [t for t in expected["types"].split(" | ") if t != "null"]
    findings.unused(field, value, allowed=" or ".join(_WORDS.get(t, t) for t in types))


def _follow(path: str, raw: object) -> tuple[str, object]:
    """The field's path as people write it (`spec.ports[0].port`), and the value found there."""
    field, value = "", raw
    for step in _STEP.finditer(path):
        if step["index"] == "..." and isinstance(value, dict):
            # msgspec does not say which value of a mapping it was: our mappings hold strings.
            key = next((k for k, v in value.items() if not isinstance(v, str)), "")
            field, value = f"{field}[{str(key)[:63]}]", value.get(key)
        elif step["index"] and isinstance(value, list):
            field, value = f"{field}[{step['index']}]", value[int(step["index"])]
        else:
            field = f"{field}.{step['name']}" if field else str(step["name"])
            value = value.get(step["name"]) if isinstance(value, dict) else None
    return field, value
