"""Where each kind is on an API server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from towpath.model.meshconfig import MESH_CONFIG_NAME
from towpath.model.names import Kind


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind's list: its API group and version, its plural, and a selection on the server."""

    kind: Kind
    api_version: str
    plural: str
    namespace: str = ""
    selection: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        root = "/apis" if "/" in self.api_version else "/api"
        within = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{root}/{self.api_version}{within}/{self.plural}"


def resources(osm_namespace: str) -> tuple[Resource, ...]:
    """Every kind that is watched; of the MeshConfigs only the one that counts."""
    policy = "policy.openservicemesh.io/v1alpha1"
    the_one = {"fieldSelector": f"metadata.name={MESH_CONFIG_NAME}"}
    named = {"labelSelector": "kubernetes.io/service-name"}
    config = "config.openservicemesh.io/v1alpha2"
    return (
        Resource(Kind.NAMESPACE, "v1", "namespaces"),
        Resource(Kind.SERVICE, "v1", "services"),
        Resource(Kind.ENDPOINT_SLICE, "discovery.k8s.io/v1", "endpointslices", selection=named),
        Resource(Kind.POD, "v1", "pods"),
        Resource(Kind.SERVICE_ACCOUNT, "v1", "serviceaccounts"),
        Resource(Kind.MESH_CONFIG, config, "meshconfigs", osm_namespace, the_one),
        Resource(Kind.EGRESS, policy, "egresses"),
        Resource(Kind.HTTP_ROUTE_GROUP, "specs.smi-spec.io/v1alpha4", "httproutegroups"),
        Resource(Kind.UPSTREAM_TRAFFIC_SETTING, policy, "upstreamtrafficsettings"),
    )
