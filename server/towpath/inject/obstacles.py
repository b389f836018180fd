"""Obstacles: what in a pod would keep its sidecar from starting, or be kept from it by the sidecar.

A pod with one would be created and never get ready, and nothing would say why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from towpath.inject.names import INJECTION
from towpath.inject.refusal import Refused
from towpath.model.ports import PROBE_PORTS, SIDECAR_PORTS

OWN_PORTS = SIDECAR_PORTS | PROBE_PORTS
OTHER_PORTS = f"any port but the sidecar's own, {', '.join(map(str, sorted(OWN_PORTS)))}"

_OF_NODE, _OF_POD = "Default", "None"
"""Values of `dnsPolicy`: names are asked of whom the node asks, or of whom `dnsConfig` names."""

Spec = Mapping[str, Any]


def obstacles(spec: Spec) -> tuple[str, ...]:
    """Remarks on what may be one in a pod that has no sidecar yet. Raises Refused for what is."""
    for container, port in _listening(spec):
        if port in OWN_PORTS:
            raise Refused(f"container {container} has the port {port}: allowed: {OTHER_PORTS}")
    policy = spec.get("dnsPolicy")
    if policy == _OF_NODE:
        raise Refused(
            f'spec.dnsPolicy is "{_OF_NODE}", with which the sidecar cannot find its control plane '
            "by its name in the cluster: allowed: ClusterFirst, or None with nameservers that know "
            f'such names; or set the annotation {INJECTION}: "disabled"'
        )
    if policy != _OF_POD:
        return ()
    remark = (
        f'spec.dnsPolicy is "{_OF_POD}": the sidecar starts only if a nameserver of spec.dnsConfig '
        "knows its control plane by its name in the cluster"
    )
    return (remark,)


def _listening(spec: Spec) -> Iterator[tuple[str, int | None]]:
    """The ports for TCP that containers have, each behind the container's name."""
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        for port in container.get("ports") or ():
            if (port.get("protocol") or "TCP") == "TCP":
                yield container["name"], port.get("containerPort")
