"""Which kinds are watched on an API server, and which selection of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from towpath.kubeapi.paths import COLLECTIONS, Collection
from towpath.model.meshconfig import MESH_CONFIG_NAME
from towpath.model.names import CUSTOM_KINDS, Kind
from towpath.sources.decode.core import ENDED
from towpath.sources.decode.services import SERVICE_NAME


@dataclass(frozen=True, slots=True)
class ApiResource:
    """One kind's list: where it is, in one namespace or ("") all, and a selection on the server."""

    kind: Kind
    namespace: str = ""
    selection: Mapping[str, str] = field(default_factory=dict)

    @property
    def collection(self) -> Collection:
        return COLLECTIONS[self.kind]

    @property
    def custom(self) -> bool:
        return self.kind in CUSTOM_KINDS

    @property
    def path(self) -> str:
        return self.collection.path(self.namespace)


def resources(osm_namespace: str) -> tuple[ApiResource, ...]:
    """Every kind that is watched; of the MeshConfigs only the one that counts."""
    running = {"fieldSelector": ",".join(f"status.phase!={phase}" for phase in ENDED)}
    named = {"labelSelector": SERVICE_NAME}
    the_one = {"fieldSelector": f"metadata.name={MESH_CONFIG_NAME}"}
    return (
        ApiResource(Kind.NAMESPACE),
        ApiResource(Kind.SERVICE),
        ApiResource(Kind.ENDPOINT_SLICE, selection=named),
        ApiResource(Kind.POD, selection=running),
        ApiResource(Kind.SERVICE_ACCOUNT),
        ApiResource(Kind.MESH_CONFIG, osm_namespace, the_one),
        ApiResource(Kind.EGRESS),
        ApiResource(Kind.HTTP_ROUTE_GROUP),
        ApiResource(Kind.UPSTREAM_TRAFFIC_SETTING),
        ApiResource(Kind.TRAFFIC_TARGET),
        ApiResource(Kind.TRAFFIC_SPLIT),
        ApiResource(Kind.TCP_ROUTE),
        ApiResource(Kind.INGRESS_BACKEND),
        ApiResource(Kind.RETRY),
    )
