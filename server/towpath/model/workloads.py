"""What runs in the cluster: namespaces, services, endpoints, pods, service accounts."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from towpath.model.identity import MtlsMode
from towpath.model.names import Account, Kind, Protocol, Referable, SidecarId
from towpath.model.observation import EgressObservation

Labels = tuple[tuple[str, str], ...]
"""Label pairs, sorted: hashable, and equal when the labels are equal."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace; it joins the mesh named by its `openservicemesh.io/monitored-by` label.

    `mtls` and `observe_egress` are what it says of itself, in place of the MeshConfig;
    `mtls_unclear`: it says something of mutual TLS that cannot be understood;
    `annotations` are all others of Open Service Mesh (`openservicemesh.io/…`) alone; one that is
    `ignored` has the label by which no pod of it gets a sidecar.
    """

    name: str
    mesh: str | None
    mtls: MtlsMode | None = None
    annotations: Labels = ()
    ignored: bool = False
    observe_egress: EgressObservation | None = None
    mtls_unclear: bool = False

    kind = Kind.NAMESPACE
    namespace = ""

    def annotation(self, name: str) -> str | None:
        """The value of an annotation; None if there is none of that name."""
        return dict(self.annotations).get(name)

    def groups(self) -> tuple[Hashable, ...]:
        return (("mesh", self.mesh),)


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One TCP port of a Service; `target_port` is a number or the name of a container port."""

    name: str
    port: int
    target_port: int | str
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Service(Referable):
    """A Service with at least the IPv4 addresses it has; headless ones have none.

    One with an `external_name` is that name's alias, and has neither addresses nor ports.
    """

    namespace: str
    name: str
    cluster_ips: tuple[str, ...]
    headless: bool
    ports: tuple[ServicePort, ...]
    selector: Labels
    external_name: str = ""

    kind = Kind.SERVICE

    def groups(self) -> tuple[Hashable, ...]:
        by_selector = (("selector", self.namespace, self.selector[0]),) if self.selector else ()
        return (("namespace", self.namespace), *by_selector)


@dataclass(frozen=True, slots=True)
class EndpointSlice(Referable):
    """IPv4 addresses behind one Service, and the number that each named port has there.

    `addresses` are ready; those in `ending` still serve while their pods end, and count where a
    port of the Service has no ready one in any slice.
    """

    namespace: str
    name: str
    service: str
    addresses: tuple[str, ...]
    ports: tuple[tuple[str, int], ...]
    ending: tuple[str, ...] = ()

    kind = Kind.ENDPOINT_SLICE

    def groups(self) -> tuple[Hashable, ...]:
        return (("service", self.namespace, self.service),)


@dataclass(frozen=True, slots=True, order=True)
class Probe:
    """How the kubelet calls one port of a pod; without a method and path it only connects."""

    port: int
    method: str = ""
    path: str = ""
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: whose it is, its labels, its container ports by name, its IPv4 addresses, and how the
    kubelet probes it.

    Several pods have one address where they are in the network of their node (`host_network`); no
    two ever have the same `uid`, "" in a file.
    """

    namespace: str
    name: str
    service_account: str
    labels: Labels
    ports: tuple[tuple[str, int], ...]
    addresses: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    uid: str = ""
    host_network: bool = False

    kind = Kind.POD

    @property
    def account(self) -> Account:
        return Account(self.namespace, self.service_account)

    @property
    def sidecar(self) -> SidecarId:
        return SidecarId(pod=self.name, namespace=self.namespace)

    def groups(self) -> tuple[Hashable, ...]:
        return (
            ("account", self.namespace, self.service_account),
            *(("address", address) for address in self.addresses),
        )


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account that exists."""

    namespace: str
    name: str

    kind = Kind.SERVICE_ACCOUNT

    def groups(self) -> tuple[Hashable, ...]:
        return (("namespace", self.namespace),)
