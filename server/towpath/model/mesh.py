"""Mesh: one immutable view of everything the control plane holds.

Every look-up goes through `get`, `group`, `part` or `query`, so that a subclass can record what an
answer was made from (the hub does) while planning stays a set of plain functions of a Mesh. What
takes long goes through `work`, so that it can be done where nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar, TypeVarTuple, cast

from towpath.model.identity import NO_IDENTITY, Identity, Leaf, Roots, Signer, Window, slot_of
from towpath.model.meshconfig import MESH_CONFIG_NAME, MeshConfig
from towpath.model.names import Account, Kind, ObjectRef, SidecarId
from towpath.model.problem import Problem
from towpath.model.workloads import EndpointSlice, Namespace, Pod, Service

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


class Object(Protocol):
    """What every held object has: a kind, a name, and the groups it can be looked up by."""

    @property
    def kind(self) -> Kind: ...
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    def groups(self) -> tuple[Hashable, ...]: ...


ObjectKey = tuple[Kind, str, str]
"""(kind, namespace, name) of one object."""

GroupKey = tuple[Kind, Hashable]
"""(kind, one of the object's `groups()`), or (kind, "all")."""

IdentityKey = tuple[Literal["identity"], Literal["signer", "roots"] | int]
"""("identity", one part of the mesh's `Identity`); a number is the slot of a window."""

ReadKey = ObjectKey | GroupKey | IdentityKey
"""One look-up whose answer may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshScope:
    """Which objects are the mesh's, and what they may say of others.

    `mesh_name` is the value of the monitored-by label that makes a namespace ours;
    `osm_namespace` is where the MeshConfig lives; `cross_namespace_egress` says whether an Egress
    may select service accounts of other namespaces, `outside_endpoints` whether a Service without
    a selector may lead to addresses that are not pods, `shadow_targets` whether sidecars count in
    permissive mode what TrafficTargets would refuse.
    """

    mesh_name: str
    osm_namespace: str
    cross_namespace_egress: bool
    outside_endpoints: bool
    shadow_targets: bool


@dataclass(frozen=True)
class Mesh:
    """All objects by key and by group, at one moment.

    The first five fields are those of `MeshScope`; `sources` says where an object was read
    (`mesh.yaml:12`), where that is known.
    """

    mesh_name: str
    osm_namespace: str
    cross_namespace_egress: bool
    outside_endpoints: bool
    shadow_targets: bool
    objects: Mapping[ObjectKey, Object] = field(default_factory=dict)
    members: Mapping[GroupKey, Mapping[ObjectKey, Object]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    sources: Mapping[ObjectRef, str] = field(default_factory=dict)
    identity: Identity = NO_IDENTITY

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object of that key, or None."""
        return self.objects.get((kind, namespace, name))

    def group(self, kind: Kind, group: Hashable) -> tuple[Object, ...]:
        """The objects of one group ("all": of that kind), sorted by namespace and name."""
        members = self.members.get((kind, group), {})
        return tuple(members[key] for key in sorted(members))

    def part(self, key: IdentityKey) -> Signer | Roots | Window | None:
        """One part of the identity; None if there is none."""
        match key:
            case _, "signer":
                return self.identity.signer
            case _, "roots":
                return self.identity.roots
            case _, int() as slot:
                return self.identity.windows.get(slot)

    def query(self, function: Callable[[Mesh, *Ts], R], *args: *Ts) -> R:
        """What a pure function gives for this mesh; a recording mesh remembers it."""
        return function(self, *args)

    def work(self, size: int, function: Callable[[*Ts], R], *args: *Ts) -> R:
        """The value of a pure function of *args* alone, all immutable.

        *size* is about how many things it has to go through.
        """
        del size
        return function(*args)

    # Typed look-ups, all made of those above.

    def config(self) -> MeshConfig | None:
        return cast(
            "MeshConfig | None", self.get(Kind.MESH_CONFIG, self.osm_namespace, MESH_CONFIG_NAME)
        )

    def monitored(self, namespace: str) -> bool:
        """True if the namespace exists and carries this mesh's label."""
        record = cast("Namespace | None", self.get(Kind.NAMESPACE, "", namespace))
        return record is not None and record.mesh == self.mesh_name

    def monitored_namespaces(self) -> tuple[str, ...]:
        return tuple(n.name for n in self.group(Kind.NAMESPACE, ("mesh", self.mesh_name)))

    def service(self, namespace: str, name: str) -> Service | None:
        return cast("Service | None", self.get(Kind.SERVICE, namespace, name))

    def services(self, namespace: str) -> tuple[Service, ...]:
        return cast("tuple[Service, ...]", self.group(Kind.SERVICE, ("namespace", namespace)))

    def services_by_selector(self, namespace: str, label: tuple[str, str]) -> tuple[Service, ...]:
        """Services whose selector's first pair is *label*: the candidates for a pod that has it."""
        return cast("tuple[Service, ...]", self.group(Kind.SERVICE, ("selector", namespace, label)))

    def slices(self, namespace: str, service: str) -> tuple[EndpointSlice, ...]:
        slices = self.group(Kind.ENDPOINT_SLICE, ("service", namespace, service))
        return cast("tuple[EndpointSlice, ...]", slices)

    def pods_at(self, address: str) -> tuple[Pod, ...]:
        return cast("tuple[Pod, ...]", self.group(Kind.POD, ("address", address)))

    def pods_of(self, account: Account) -> tuple[Pod, ...]:
        """The pods that run as the account."""
        pods = self.group(Kind.POD, ("account", account.namespace, account.name))
        return cast("tuple[Pod, ...]", pods)

    def pod(self, sidecar: SidecarId) -> Pod | None:
        return cast("Pod | None", self.get(Kind.POD, sidecar.namespace, sidecar.pod))

    def roots(self) -> Roots | None:
        """Whom sidecars trust; None if there is no authority: then nothing is encrypted."""
        return cast("Roots | None", self.part(("identity", "roots")))

    def leaf(self, account: Account) -> Leaf | None:
        """The certificate that sidecars of *account* show now; None if there is no authority."""
        return self.query(_leaf, account)


def _leaf(mesh: Mesh, account: Account) -> Leaf | None:
    signer = cast("Signer | None", mesh.part(("identity", "signer")))
    window = cast("Window | None", mesh.part(("identity", slot_of(account))))
    if signer is None or window is None:
        return None
    return signer.leaf(account, window)
