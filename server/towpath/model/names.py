"""Names of things: Kubernetes objects, service accounts, sidecars, protocols."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from towpath.model.text import printable, shorten

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_POD = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NAMESPACE = re.compile(_LABEL)
_LONGEST_POD, _LONGEST_NAMESPACE = 253, 63
LONGEST_NODE_ID = _LONGEST_POD + 1 + _LONGEST_NAMESPACE
"""In characters: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""


class Kind(StrEnum):
    """The kinds of object that Towpath holds; a value is the Kubernetes `kind`."""

    NAMESPACE = "Namespace"
    SERVICE = "Service"
    ENDPOINT_SLICE = "EndpointSlice"
    POD = "Pod"
    SERVICE_ACCOUNT = "ServiceAccount"
    MESH_CONFIG = "MeshConfig"
    EGRESS = "Egress"
    HTTP_ROUTE_GROUP = "HTTPRouteGroup"
    UPSTREAM_TRAFFIC_SETTING = "UpstreamTrafficSetting"
    TRAFFIC_TARGET = "TrafficTarget"
    TRAFFIC_SPLIT = "TrafficSplit"
    TCP_ROUTE = "TCPRoute"
    INGRESS_BACKEND = "IngressBackend"
    RETRY = "Retry"


CUSTOM_KINDS = (
    Kind.MESH_CONFIG,
    Kind.EGRESS,
    Kind.HTTP_ROUTE_GROUP,
    Kind.UPSTREAM_TRAFFIC_SETTING,
    Kind.TRAFFIC_TARGET,
    Kind.TRAFFIC_SPLIT,
    Kind.TCP_ROUTE,
    Kind.INGRESS_BACKEND,
    Kind.RETRY,
)
"""Those that are there once their CustomResourceDefinition is: the MeshConfig, and policies."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Which object: its kind, namespace ("" for a cluster-wide one) and name.

    `kind` is a string, not a `Kind`: a Problem may name a file, or an object nobody knows.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.namespace}/{self.name}"
            if self.namespace
            else f"{self.kind} {self.name}"
        )


class Referable:
    """An object of the cluster that has a namespace and a name."""

    __slots__ = ()

    kind: ClassVar[Kind]
    namespace: str
    name: str

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(self.kind, self.namespace, self.name)

    @property
    def label(self) -> str:
        """`<namespace>/<name>`, as people and statistics name it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """What an API server noted on an object: its `uid` ("" where there is none), which no other
    object ever has, and its `generation`, which grows with each change of its spec.
    """

    uid: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """A service account: the identity that policies speak of."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Account:
        """Read `<namespace>/<name>`; ValueError if it is not that."""
        namespace, slash, name = text.partition("/")
        if not (namespace and slash and name) or "/" in name:
            raise ValueError(f"{text!r} is not of the form <namespace>/<service account>")
        return cls(namespace, name)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class SidecarId:
    """The pod that a sidecar serves; its text form `<pod>.<namespace>` is the xDS node id."""

    pod: str
    namespace: str

    @classmethod
    def parse(cls, node_id: str) -> SidecarId:
        """Split a node id at its last dot; ValueError if the parts are no names of Kubernetes."""
        shown = shorten(printable(node_id[: 2 * LONGEST_NODE_ID]), 100)
        pod, dot, namespace = node_id.rpartition(".")
        if not (pod and dot and namespace):
            raise ValueError(f"node id {shown!r} is not of the form <pod>.<namespace>")
        if len(pod) > _LONGEST_POD or len(namespace) > _LONGEST_NAMESPACE:
            longest = f"at most {_LONGEST_POD} characters and {_LONGEST_NAMESPACE}"
            raise ValueError(f"node id {shown!r} is too long: <pod>.<namespace> have {longest}")
        if not (_POD.fullmatch(pod) and _NAMESPACE.fullmatch(namespace)):
            raise ValueError(
                f"node id {shown!r} is not of the form <pod>.<namespace>: allowed in names are "
                "lower-case letters, digits, '-' and, in a pod's, '.'"
            )
        return cls(pod=pod, namespace=namespace)

    def __str__(self) -> str:
        return f"{self.pod}.{self.namespace}"


class Protocol(StrEnum):
    """What a port speaks, as far as a sidecar must know it."""

    HTTP = "http"
    HTTPS = "https"
    TCP = "tcp"
    TCP_SERVER_FIRST = "tcp-server-first"


class ClientKind(StrEnum):
    """What sort of data plane holds a stream; each kind has its own vocabulary of resources."""

    ENVOY = "envoy"
    GRPC = "grpc"
    PIPY = "pipy"

    @property
    def enforces(self) -> bool:
        """True if it stands in the way of all its pod's traffic, and so can hold a policy."""
        return self is not ClientKind.GRPC
