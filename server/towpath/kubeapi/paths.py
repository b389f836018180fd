"""Where objects are on an API server: each kind's API group, version and plural."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from towpath.model.names import Kind


@dataclass(frozen=True, slots=True)
class Collection:
    """All objects of one kind, by their API version (`v1`, `policy.example.io/v1`) and plural."""

    api_version: str
    plural: str

    @property
    def group(self) -> str:
        """The API group; "" is the core one."""
        return self.api_version.rpartition("/")[0]

    @property
    def full_name(self) -> str:
        """The plural with its group: the name of a CustomResourceDefinition."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "") -> str:
        """The URL's path of all of them, of those of one namespace, or of one."""
        parts = ["/apis" if self.group else "/api", self.api_version]
        if namespace:
            parts += "namespaces", namespace
        parts.append(self.plural)
        if name:
            parts.append(name)
        return "/".join(parts)

    def grant(self, *verbs: str, subresource: str = "") -> str:
        """The RBAC rule that allows those verbs, as a person would write it."""
        what = f"{self.plural}/{subresource}" if subresource else self.plural
        return f'apiGroups: ["{self.group}"], resources: ["{what}"], verbs: [{", ".join(verbs)}]'


_POLICY = "policy.openservicemesh.io/v1alpha1"

COLLECTIONS: Mapping[Kind, Collection] = {
    Kind.NAMESPACE: Collection("v1", "namespaces"),
    Kind.SERVICE: Collection("v1", "services"),
    Kind.ENDPOINT_SLICE: Collection("discovery.k8s.io/v1", "endpointslices"),
    Kind.POD: Collection("v1", "pods"),
    Kind.SERVICE_ACCOUNT: Collection("v1", "serviceaccounts"),
    Kind.MESH_CONFIG: Collection("config.openservicemesh.io/v1alpha2", "meshconfigs"),
    Kind.EGRESS: Collection(_POLICY, "egresses"),
    Kind.HTTP_ROUTE_GROUP: Collection("specs.smi-spec.io/v1alpha4", "httproutegroups"),
    Kind.UPSTREAM_TRAFFIC_SETTING: Collection(_POLICY, "upstreamtrafficsettings"),
}

LEASES = Collection("coordination.k8s.io/v1", "leases")
EVENTS = Collection("events.k8s.io/v1", "events")
