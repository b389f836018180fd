"""What a Pipy sidecar lets in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from towpath.encode.pipy.admission import admitted_to, grants_whole
from towpath.encode.pipy.config import ANYWHERE, part
from towpath.encode.pipy.regex import on_path
from towpath.model.codes import Code
from towpath.model.limits import RateLimits
from towpath.model.names import Kind, ObjectRef, Protocol
from towpath.model.plan import Inbound, InboundPort
from towpath.model.problem import Problem
from towpath_api.v1.sidecar_pb2 import InboundMatch, SidecarConfig

WEIGHT = 100
ANY_PATH = ".*"
ANY_HOST = "*"


def inbound(let_in: Inbound) -> bytes:
    """The application's ports that are open; nothing at all if there are none.

    The scripts take any connection, and close it where no port matches: who only connects needs
    none. Where policies decide, a port is open to the addresses that may ask it for anything, or
    to the kubelet's probes alone.
    """
    message = SidecarConfig()
    for port in let_in.ports:
        admitted = admitted_to(port)
        if admitted == {}:
            port = InboundPort(port.port, Protocol.HTTP, (), probes=port.health)  # noqa: PLW2901
        if port.probes == ():
            continue
        match = _http(port) if port.protocol is Protocol.HTTP else _tcp(port)
        match.allowed_endpoints.update(admitted or {})
        message.inbound.traffic_matches[port.port].CopyFrom(match)
        local = message.inbound.clusters_configs[port.cluster_name]
        local.weights[f"127.0.0.1:{port.port}"] = WEIGHT
    return part(message)


def closed_to_policies(let_in: Inbound) -> tuple[Problem, ...]:
    """What policies let in and Pipy sidecars do not, and what these do not limit, sorted."""
    problems = {
        problem
        for port in let_in.ports
        if port.permits is not None
        for problem in (*_of_targets(port), *_of_ingress(port))
    }
    problems |= {_unlimited(port) for port in let_in.ports if port.limits != RateLimits()}
    return tuple(sorted(problems))


def _of_targets(port: InboundPort) -> Iterator[Problem]:
    for permit in port.permits or ():
        if port.health:
            yield _closed(Kind.TRAFFIC_TARGET, permit.policy, _PROBED.format(port.port))
        elif not grants_whole(port, permit):
            text = (
                f"pipy sidecars tell who calls by the address of a connection, not request by "
                f"request: port {port.port} is open there only to whom every request is granted"
            )
            yield _closed(Kind.TRAFFIC_TARGET, permit.policy, text)


def _of_ingress(port: InboundPort) -> Iterator[Problem]:
    for entry in port.ingress:
        if port.health:
            yield _closed(Kind.INGRESS_BACKEND, entry.policy, _PROBED.format(port.port))
        elif entry.names:
            text = f"pipy sidecars take no mutual TLS, so nobody comes in by it on port {port.port}"
            yield _closed(Kind.INGRESS_BACKEND, entry.policy, text)


_PROBED = (
    "pipy sidecars tell who calls by the address of a connection, and the kubelet's is not known: "
    "as it probes port {}, that lets in nothing but its probes"
)


def _unlimited(port: InboundPort) -> Problem:
    namespace, _, name = port.owner.partition("/")
    text = (
        f"pipy sidecars do not count what comes in: the rate limits of port {port.port} have no "
        "effect there"
    )
    return Problem(ObjectRef(Kind.SERVICE, namespace, name), "", Code.PIPY_IGNORES, text)


def _closed(kind: Kind, policy: str, text: str) -> Problem:
    namespace, _, name = policy.partition("/")
    field = "spec.destination" if kind is Kind.TRAFFIC_TARGET else "spec.backends"
    return Problem(ObjectRef(kind, namespace, name), field, Code.PIPY_CANNOT, text)


def _http(port: InboundPort) -> InboundMatch:
    """The port has chosen the application, so any Host header will do.

    The scripts look at a request under the host `*` where its client's address is in a range.
    """
    rule = port.owner
    match = InboundMatch(port=port.port, protocol=Protocol.HTTP)
    match.source_ip_ranges[ANYWHERE].SetInParent()
    match.http_host_port2_service[ANY_HOST] = rule
    rules = match.http_service_route_rules[rule].route_rules
    if port.probes is None:
        rules.add(path=ANY_PATH, type="Regex").target_clusters[port.cluster_name] = WEIGHT
    for probe in port.probes or ():
        path = on_path(re.escape(probe.path))
        route = rules.add(path=path, type="Regex", methods=[probe.method])
        route.target_clusters[port.cluster_name] = WEIGHT
    return match


def _tcp(port: InboundPort) -> InboundMatch:
    match = InboundMatch(port=port.port, protocol=Protocol.TCP)
    match.tcp_service_route_rules.target_clusters[port.cluster_name] = WEIGHT
    return match
