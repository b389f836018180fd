"""The replicas of a control plane: its pods, as people's commands reach them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from towpath.install.objects import listed
from towpath.install.ownership import LABEL, NAME
from towpath.kubeapi.client import KubeApi, needing
from towpath.kubeapi.paths import COLLECTIONS
from towpath.model.names import Kind

PORT = "local"
"""What the port of `--local-address` is called in the Deployment."""


@dataclass(frozen=True, slots=True)
class ReplicaPod:
    """One pod; `port` is that of `--local-address`, 0 if it has none. `ready` if it has read its
    whole input.
    """

    name: str
    port: int
    ready: bool


async def replica_pods(api: KubeApi, namespace: str) -> list[ReplicaPod]:
    """Those that are not about to end, by name. KubeApiError, also without the right to list."""
    pods = COLLECTIONS[Kind.POD]
    query = {"labelSelector": f"{LABEL}={NAME}"}
    records = await needing(listed(api, pods, query, namespace=namespace), pods.grant("list"))
    living = (one for one in records if "deletionTimestamp" not in one["metadata"])
    return sorted(map(_replica, living), key=lambda one: one.name)


def _replica(record: Any) -> ReplicaPod:
    ports = {
        port.get("name"): port["containerPort"]
        for container in record["spec"]["containers"]
        for port in container.get("ports") or ()
    }
    conditions = (record.get("status") or {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ReplicaPod(record["metadata"]["name"], ports.get(PORT, 0), ready)
