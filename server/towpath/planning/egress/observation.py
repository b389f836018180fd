"""What sidecars look at only so that people can be told: names of what passthrough lets out."""

from __future__ import annotations

from dataclasses import replace

from towpath.model.egress_plan import PASSTHROUGH, AddressRange, EgressPlan, EgressPort, Ports
from towpath.model.mesh import Mesh
from towpath.model.names import Kind
from towpath.model.observation import EgressObservation
from towpath.model.workloads import Namespace
from towpath.planning.config import config

HTTP_PORT, TLS_PORT = 80, 443
"""Servers that speak first are on neither, so that nobody waits in vain for a client's bytes."""

_LOOKED_AT = (
    EgressPort(HTTP_PORT, (AddressRange(hosts=(), other_hosts=PASSTHROUGH),), server_first=False),
    EgressPort(TLS_PORT, (AddressRange(other_tls=PASSTHROUGH),), server_first=False),
)


def observation(mesh: Mesh, namespace: str) -> EgressObservation:
    """What holds for the sidecars of a namespace: what it says itself, else the MeshConfig."""
    record = mesh.get(Kind.NAMESPACE, "", namespace)
    own = record.observe_egress if isinstance(record, Namespace) else None
    return own or config(mesh).observe_egress


def reports(mesh: Mesh, namespace: str) -> bool:
    """True if sidecars of that namespace tell the control plane of what they let out or refuse."""
    return mesh.query(observation, namespace) is EgressObservation.REPORTS


def observed(plan: EgressPlan, mode: EgressObservation, *, passthrough: bool) -> EgressPlan:
    """The plan with what is looked at for people alone: it allows the same, request by request,
    but for what is not HTTP that a sidecar could route.

    A port of which policies speak is as they want it: there names are known already.
    """
    if mode is EgressObservation.DISABLED:
        return plan
    numbers = {port.number for port in plan.ports}
    more = [port for port in _LOOKED_AT if passthrough and port.number not in numbers]
    ports = (
        Ports(sorted((*plan.ports, *more), key=lambda port: port.number)) if more else plan.ports
    )
    return replace(plan, ports=ports, reports=mode is EgressObservation.REPORTS)
