"""Where each kind is on an API server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from towpath.model.meshconfig import MESH_CONFIG_NAME
from towpath.model.names import Kind
from towpath.sources.decode.core import ENDED
from towpath.sources.decode.services import SERVICE_NAME


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind's list: its API group and version, its plural, and a selection on the server.

    `custom` kinds are there once their CustomResourceDefinition is installed.
    """

    kind: Kind
    api_version: str
    plural: str
    namespace: str = ""
    custom: bool = False
    selection: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        root = "/apis" if "/" in self.api_version else "/api"
        within = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{root}/{self.api_version}{within}/{self.plural}"

    @property
    def group(self) -> str:
        """The API group; "" is the core one."""
        return self.api_version.rpartition("/")[0]

    @property
    def full_name(self) -> str:
        """The plural with its group: the name of a CustomResourceDefinition."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def resources(osm_namespace: str) -> tuple[Resource, ...]:
    """Every kind that is watched; of the MeshConfigs only the one that counts."""
    policy = "policy.openservicemesh.io/v1alpha1"
    running = {"fieldSelector": ",".join(f"status.phase!={phase}" for phase in ENDED)}
    named = {"labelSelector": SERVICE_NAME}
    the_one = {"fieldSelector": f"metadata.name={MESH_CONFIG_NAME}"}
    return (
        Resource(Kind.NAMESPACE, "v1", "namespaces"),
        Resource(Kind.SERVICE, "v1", "services"),
        Resource(Kind.ENDPOINT_SLICE, "discovery.k8s.io/v1", "endpointslices", selection=named),
        Resource(Kind.POD, "v1", "pods", selection=running),
        Resource(Kind.SERVICE_ACCOUNT, "v1", "serviceaccounts"),
        Resource(
            Kind.MESH_CONFIG,
            "config.openservicemesh.io/v1alpha2",
            "meshconfigs",
            osm_namespace,
            custom=True,
            selection=the_one,
        ),
        Resource(Kind.EGRESS, policy, "egresses", custom=True),
        Resource(
            Kind.HTTP_ROUTE_GROUP, "specs.smi-spec.io/v1alpha4", "httproutegroups", custom=True
        ),
        Resource(Kind.UPSTREAM_TRAFFIC_SETTING, policy, "upstreamtrafficsettings", custom=True),
    )
