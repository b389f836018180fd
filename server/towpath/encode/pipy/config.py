"""The parts of a SidecarConfig put together.

A part is an encoded SidecarConfig that has only some fields. Encoded messages that follow each
other are one message that has all their fields, so a part is encoded once for all sidecars that
share it.
"""

from __future__ import annotations

from google.protobuf.any_pb2 import Any as AnyMessage

from towpath.encode.pack import serialized
from towpath.encode.pipy.admission import admitted_to
from towpath.model.meshconfig import MeshConfig
from towpath.model.plan import Inbound
from towpath.model.snapshot import Resource
from towpath.model.types import SIDECAR
from towpath_api.v1.sidecar_pb2 import (
    SidecarConfig,
    SidecarFeatures,
    SidecarProbes,
    SidecarSpec,
    StringList,
    TrafficSpec,
)

ANYWHERE = "0.0.0.0/0"

CHAINS = {
    "inbound-tcp": ("tls-termination", "tcp-routing", "tcp-load-balancing", "tcp-default"),
    "inbound-http": (
        "tls-termination",
        "http-routing",
        "metrics-http",
        "tracing-http",
        "logging-http",
        "throttle-service",
        "throttle-route",
        "http-load-balancing",
        "http-default",
    ),
    "outbound-tcp": ("tcp-routing", "tcp-load-balancing", "tcp-default"),
    "outbound-http": (
        "http-routing",
        "metrics-http",
        "tracing-http",
        "logging-http",
        "circuit-breaker",
        "http-load-balancing",
        "http-default",
    ),
}
"""osm-edge's modules by chain, in its default order."""


def config(name: str, *parts: bytes) -> Resource:
    """The whole configuration of the sidecar with that node id; *parts* in the order of fields."""
    value = part(SidecarConfig(name=name)) + b"".join(parts)
    packed = AnyMessage(type_url=SIDECAR, value=value)
    return Resource.of(SIDECAR, name, serialized(packed))


def part(message: SidecarConfig) -> bytes:
    """Some fields of a configuration."""
    return serialized(message)


def spec(switches: MeshConfig, *, passthrough: bool) -> bytes:
    """The mesh-wide switches."""
    return part(
        SidecarConfig(
            spec=SidecarSpec(
                sidecar_log_level=switches.sidecar_log_level,
                sidecar_timeout=switches.sidecar_timeout,
                traffic=TrafficSpec(
                    enable_egress=passthrough,
                    http1_per_request_load_balancing=switches.http1_per_request_load_balancing,
                    http2_per_request_load_balancing=switches.http2_per_request_load_balancing,
                ),
                feature_flags=SidecarFeatures(),
                probes=SidecarProbes(),
            )
        )
    )


def access_and_chains(let_in: Inbound) -> bytes:
    """Who may connect, and the modules that a connection goes through.

    Whoever reaches an open port may use it, as with an Envoy sidecar: a list of all pods would
    change every sidecar with each of them. Where policies decide, a port has addresses of its own,
    of which the scripts use those that stand here too.
    """
    allowed: dict[str, str] = {}
    for port in let_in.ports:
        admitted = admitted_to(port)
        if admitted is None or port.health:
            allowed[ANYWHERE] = "any client"
        else:
            allowed |= admitted
    return part(SidecarConfig(allowed_endpoints=allowed)) + chains()


def chains() -> bytes:
    """The modules that a connection goes through."""
    message = SidecarConfig()
    for chain, modules in CHAINS.items():
        direction, _, _ = chain.partition("-")
        files = [f"modules/{direction}-{module}.js" for module in modules]
        message.chains[chain].CopyFrom(StringList(values=files))
    return part(message)
