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


_PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "CustomResourceDefinition": "customresourcedefinitions",
    "Deployment": "deployments",
    "Egress": "egresses",
    "EndpointSlice": "endpointslices",
    "Event": "events",
    "HTTPRouteGroup": "httproutegroups",
    "IngressBackend": "ingressbackends",
    "Lease": "leases",
    "MeshConfig": "meshconfigs",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "Namespace": "namespaces",
    "NetworkPolicy": "networkpolicies",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "Retry": "retries",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "SubjectAccessReview": "subjectaccessreviews",
    "TCPRoute": "tcproutes",
    "TrafficSplit": "trafficsplits",
    "TrafficTarget": "traffictargets",
    "UpstreamTrafficSetting": "upstreamtrafficsettings",
}


def collection(api_version: str, kind: str) -> Collection:
    """All objects of a kind that Towpath reads or writes; KeyError for another kind."""
    return Collection(api_version, _PLURALS[kind])


_POLICY = "policy.openservicemesh.io/v1alpha1"
_API_VERSIONS = {
    Kind.NAMESPACE: "v1",
    Kind.SERVICE: "v1",
    Kind.ENDPOINT_SLICE: "discovery.k8s.io/v1",
    Kind.POD: "v1",
    Kind.SERVICE_ACCOUNT: "v1",
    Kind.MESH_CONFIG: "config.openservicemesh.io/v1alpha2",
    Kind.EGRESS: _POLICY,
    Kind.HTTP_ROUTE_GROUP: "specs.smi-spec.io/v1alpha4",
    Kind.UPSTREAM_TRAFFIC_SETTING: _POLICY,
    Kind.TRAFFIC_TARGET: "access.smi-spec.io/v1alpha3",
    Kind.TRAFFIC_SPLIT: "split.smi-spec.io/v1alpha4",
    Kind.TCP_ROUTE: "specs.smi-spec.io/v1alpha4",
    Kind.INGRESS_BACKEND: _POLICY,
    Kind.RETRY: _POLICY,
}

COLLECTIONS: Mapping[Kind, Collection] = {
    kind: collection(version, kind) for kind, version in _API_VERSIONS.items()
}
"""Of the kinds that are followed."""

ACCESS_REVIEWS = collection("authorization.k8s.io/v1", "SubjectAccessReview")
CONFIG_MAPS = collection("v1", "ConfigMap")
DEPLOYMENTS = collection("apps/v1", "Deployment")
EVENTS = collection("events.k8s.io/v1", "Event")
LEASES = collection("coordination.k8s.io/v1", "Lease")
SECRETS = collection("v1", "Secret")
WEBHOOKS = collection("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration")
