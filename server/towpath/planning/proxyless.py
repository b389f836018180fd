"""What a client without a sidecar may call: in-mesh services by name, and nothing else.

A policy needs something that stands in the way of all traffic. A gRPC library only picks the
endpoints of the calls that are made through it, so where a policy would have to decide, nothing
is offered.
"""

from __future__ import annotations

from towpath.model.mesh import Mesh
from towpath.model.names import Account, Protocol
from towpath.model.plan import ProxylessPlan, ProxylessTarget, ProxylessTargets
from towpath.model.workloads import Service, ServicePort
from towpath.planning.config import config
from towpath.planning.inmesh.settings import connection_settings
from towpath.planning.inmesh.splits import branches

CLUSTER_DOMAIN = "svc.cluster.local"
GRPC_PORT = "grpc"


def proxyless(mesh: Mesh, account: Account) -> ProxylessPlan:
    """What the clients of one service account may call.

    As for a sidecar, that is nothing outside the mesh, without a MeshConfig, or without permissive
    mode.
    """
    if not mesh.monitored(account.namespace):
        return ProxylessPlan(refusal=f"namespace {account.namespace} is not in the mesh")
    if not config(mesh).permissive:
        return ProxylessPlan(
            refusal="permissive mode is off (spec.traffic.enablePermissiveTrafficPolicyMode of "
            "MeshConfig), and no policy can be left to a client without a sidecar"
        )
    return ProxylessPlan(mesh.query(targets))


def targets(mesh: Mesh) -> ProxylessTargets:
    """Every port of every service of the monitored namespaces, headless ones too.

    A port where the server speaks first is none: in gRPC the client does.
    """
    return ProxylessTargets(
        target
        for namespace in mesh.monitored_namespaces()
        for service in mesh.services(namespace)
        for target in mesh.query(targets_of, service)
    )


def targets_of(mesh: Mesh, service: Service) -> tuple[ProxylessTarget, ...]:
    """The targets of one service, by port."""
    usable = [p for p in service.ports if p.protocol is not Protocol.TCP_SERVER_FIRST]
    short = f"{service.name}.{service.namespace}"
    hosts = (short, f"{short}.{CLUSTER_DOMAIN}")
    default = _default(usable)
    settings = mesh.query(connection_settings, service.namespace, service.name)
    return tuple(
        ProxylessTarget(
            namespace=service.namespace,
            service=service.name,
            port=port.port,
            names=(*(hosts if port is default else ()), *(f"{h}:{port.port}" for h in hosts)),
            branches=branches(mesh, service, port),
            max_requests=settings.max_requests,
        )
        for port in sorted(usable, key=lambda p: p.port)
    )


def _default(ports: list[ServicePort]) -> ServicePort | None:
    """The port that a name without one means: the only one, or else the one named `grpc`."""
    if len(ports) == 1:
        return ports[0]
    return next((port for port in ports if port.name == GRPC_PORT), None)
