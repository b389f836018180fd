"""A SidecarConfig of parts is the message that it would be as a whole."""

from __future__ import annotations

import re
from dataclasses import replace

from google.protobuf.any_pb2 import Any as AnyMessage

from support.objects import (
    ingress_backend,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    route_group,
    service,
    traffic_target,
)
from towpath.encode import pipy
from towpath.encode.pack import unpack
from towpath.hub.compose import snapshot, withheld
from towpath.model.codes import Code
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import ClientKind, Protocol, SidecarId
from towpath.model.plan import (
    Destination,
    Destinations,
    Endpoint,
    Inbound,
    InboundPort,
    Outbound,
)
from towpath.model.types import SIDECAR
from towpath.model.workloads import Probe
from towpath_api.v1.sidecar_pb2 import SidecarConfig
from towpath_client import SIDECAR_CONFIG

WEB = Destination("shop", "web", 80, Protocol.HTTP, ("10.96.0.1",), direct=False)
DIRECT = tuple(
    Destination("shop", name, 3306, Protocol.TCP, addresses, direct=True)
    for name, addresses in {"db": ("10.0.0.8", "10.0.0.9"), "other": ("10.0.0.8",)}.items()
)
LET_OUT = Outbound(Destinations((WEB, *DIRECT)), passthrough=False)
LET_IN = Inbound((InboundPort(8080, Protocol.HTTP, ("shop/web",)),))


def parts() -> tuple[bytes, ...]:
    clusters = {WEB.name: pipy.cluster([Endpoint("10.0.0.1", 8080)])}
    return (
        pipy.spec(MeshConfig(), passthrough=False),
        pipy.inbound(LET_IN),
        pipy.outbound(LET_OUT, clusters),
        pipy.access_and_chains(LET_IN),
    )


def test_its_bytes_are_those_of_the_whole() -> None:
    resource = pipy.config("web-1.shop", *parts())
    packed = unpack(resource)
    whole = SidecarConfig.FromString(packed.value)

    assert packed.value == whole.SerializeToString(deterministic=True)
    assert resource == pipy.config("web-1.shop", *parts())
    assert "web-1.shop" == resource.name == whole.name


def test_its_type_is_the_one_that_clients_ask_for() -> None:
    packed = AnyMessage()
    packed.Pack(SidecarConfig())

    assert packed.type_url == SIDECAR == SIDECAR_CONFIG


def test_what_is_dialled_directly_on_one_port_is_one_match() -> None:
    config = SidecarConfig.FromString(b"".join(parts()))
    (match,) = config.outbound.traffic_matches[3306].values

    assert ["10.0.0.8/32", "10.0.0.9/32"] == sorted(match.destination_ip_ranges.ranges)
    assert match.tcp_service_route_rules.allowed_egress_traffic


def test_a_pod_outside_the_mesh_is_given_nothing() -> None:
    mesh = mesh_of(
        namespace("far", mesh=None), mesh_config(egress=True), pod("p", in_namespace="far")
    )
    held = snapshot(mesh, ClientKind.PIPY, SidecarId("p", "far"))

    assert held is not None
    config = SidecarConfig.FromString(unpack(held.of(SIDECAR)["p.far"]).value)
    assert not config.spec.traffic.enable_egress
    assert not config.HasField("outbound")
    assert not config.HasField("inbound")
    assert {} == dict(config.allowed_endpoints)


def test_where_nobody_may_come_in_pipy_takes_the_kubelets_requests_alone() -> None:
    probed = replace(pod("web-1"), probes=(Probe(8080, "GET", "/health"), Probe(9000)))
    mesh = mesh_of(namespace(), mesh_config(permissive=False), probed, service("web"))
    held = snapshot(mesh, ClientKind.PIPY, SidecarId("web-1", "shop"))

    assert held is not None
    config = SidecarConfig.FromString(unpack(held.of(SIDECAR)["web-1.shop"]).value)
    (number, match), *others = config.inbound.traffic_matches.items()
    [route] = match.http_service_route_rules["kubelet"].route_rules
    assert (8080, []) == (number, others)
    assert (["GET"], ["inbound|8080|local"]) == (list(route.methods), list(route.target_clusters))
    found = {path: bool(re.search(route.path, path)) for path in ("/health", "/health?a", "/a")}
    assert {"/health": True, "/health?a": True, "/a": False} == found


def test_where_the_kubelet_probes_pipy_lets_in_nothing_else_and_a_problem_says_so() -> None:
    """Check 61."""
    probed = replace(pod("web-1", account="web"), probes=(Probe(8080, "GET", "/health"),))
    mesh = mesh_of(
        namespace(),
        mesh_config(permissive=False, ingress=True),
        probed,
        pod("curl", account="curl", app="curl", addresses=["10.0.0.2"]),
        service("web"),
        traffic_target(),
        route_group("get"),
        ingress_backend(ranges=("192.0.2.0/24",)),
    )
    web = SidecarId("web-1", "shop")
    held = snapshot(mesh, ClientKind.PIPY, web)

    assert held is not None
    config = SidecarConfig.FromString(unpack(held.of(SIDECAR)["web-1.shop"]).value)
    assert ["kubelet"] == [
        rule
        for match in config.inbound.traffic_matches.values()
        for rule in match.http_service_route_rules
    ]
    assert {("IngressBackend", "outside"), ("TrafficTarget", "may")} == {
        (one.object.kind, one.object.name)
        for one in withheld(mesh, ClientKind.PIPY, web)
        if one.code is Code.PIPY_CANNOT
    }
