"""Store: objects as sources report them, and which look-ups each change touches."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace

from towpath.model.identity import NO_IDENTITY, SLOTS, Identity
from towpath.model.mesh import GroupKey, Mesh, MeshScope, Object, ObjectKey, ReadKey
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem


class Store:
    """Holds every object, hands out a `Mesh` of them, and counts what changed in between.

    `on_change` is called, synchronously, after each call that changed something; an object equal
    to the one held changes nothing. *needs_identity* says that there must be an authority before
    anything is published: without one, what should be encrypted would not be.
    """

    def __init__(
        self,
        scope: MeshScope,
        *,
        on_change: Callable[[], None],
        needs_identity: bool = False,
    ) -> None:
        self._mesh = Mesh(
            mesh_name=scope.mesh_name,
            osm_namespace=scope.osm_namespace,
            cross_namespace_egress=scope.cross_namespace_egress,
            outside_endpoints=scope.outside_endpoints,
            shadow_targets=scope.shadow_targets,
        )
        self._on_change = on_change
        self._objects: dict[ObjectKey, Object] = {}
        self._members: dict[GroupKey, dict[ObjectKey, Object]] = {}
        self._own: set[GroupKey] = (
            set()
        )  # groups no view shares yet, so they may be changed in place
        self._touched: set[ReadKey] = set()
        self._problems: dict[Hashable, tuple[Problem, ...]] = {}
        self._sources: Mapping[ObjectRef, str] = {}
        self._annotated = False  # problems or sources differ from the last view's
        self._listed: set[Kind] = set()
        self._identity = NO_IDENTITY
        self._needs_identity = needs_identity

    @property
    def synced(self) -> bool:
        """True once every kind has been listed: what is not held then really is not there."""
        return self._listed >= set(Kind) and not self._needs_identity

    def has_listed(self, kind: Kind) -> bool:
        """True once that kind has been listed."""
        return kind in self._listed

    def held(self, kind: Kind) -> tuple[Object, ...]:
        """All objects of the kind, sorted by namespace and name."""
        members = self._members.get((kind, "all"), {})
        return tuple(members[key] for key in sorted(members))

    def listed(self, kind: Kind) -> None:
        """Say that all objects of the kind have been reported, even if there are none."""
        if kind not in self._listed:
            self._listed.add(kind)
            self._on_change()

    def apply(self, obj: Object) -> None:
        """Hold *obj* in place of what had its key."""
        if self._put(obj):
            self._on_change()

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Drop an object; an unknown one is no error."""
        if self._drop((kind, namespace, name)):
            self._on_change()

    def replace_all(self, kind: Kind, objects: Iterable[Object]) -> None:
        """Hold exactly *objects* of this kind, and mark the kind listed."""
        new = {_key(obj): obj for obj in objects}
        gone = [key for key in self._objects if key[0] is kind and key not in new]
        changed = [self._drop(key) for key in gone] + [self._put(obj) for obj in new.values()]
        if any(changed) or kind not in self._listed:
            self._listed.add(kind)
            self._on_change()

    def identify(self, identity: Identity) -> None:
        """Hold *identity* in place of the one before."""
        before, self._identity = self._identity, identity
        touched: set[ReadKey] = {
            ("identity", slot)
            for slot in range(SLOTS)
            if before.windows.get(slot) != identity.windows.get(slot)
        }
        if before.signer != identity.signer:
            touched.add(("identity", "signer"))
        if before.roots != identity.roots:
            touched.add(("identity", "roots"))
        self._touched |= touched
        first, self._needs_identity = self._needs_identity, False
        if touched or first:
            self._on_change()

    def report(self, origin: Hashable, problems: Iterable[Problem]) -> None:
        """Replace the problems that *origin* (a source, an object) reported before."""
        new = tuple(problems)
        if new == self._problems.get(origin, ()):
            return
        if new:
            self._problems[origin] = new
        else:
            del self._problems[origin]
        self._annotated = True
        self._on_change()

    def locate(self, sources: Mapping[ObjectRef, str]) -> None:
        """Say where each object was read; nothing that is planned depends on it."""
        if sources != self._sources:
            self._sources = dict(sources)
            self._annotated = True
            self._on_change()

    def drain(self) -> tuple[Mesh, frozenset[ReadKey]]:
        """The present view, and the look-ups whose answer changed since the last call."""
        touched = frozenset(self._touched)
        if touched or self._annotated:
            problems = {p for reported in self._problems.values() for p in reported}
            self._mesh = replace(
                self._mesh,
                objects=dict(self._objects),
                members=dict(self._members),
                problems=tuple(sorted(problems)),
                sources=self._sources,
                identity=self._identity,
            )
            self._own.clear()
            self._touched.clear()
            self._annotated = False
        return self._mesh, touched

    def _put(self, obj: Object) -> bool:
        key = _key(obj)
        old = self._objects.get(key)
        if old == obj:
            return False
        groups_before = () if old is None else old.groups()
        groups = obj.groups()
        self._objects[key] = obj
        self._touched.add(key)
        self._leave(key, set(groups_before).difference(groups))
        for group in ("all", *groups):
            self._writable((obj.kind, group))[key] = obj
        return True

    def _drop(self, key: ObjectKey) -> bool:
        old = self._objects.pop(key, None)
        if old is None:
            return False
        self._touched.add(key)
        self._leave(key, ("all", *old.groups()))
        return True

    def _leave(self, key: ObjectKey, groups: Iterable[Hashable]) -> None:
        for group in ((key[0], group) for group in groups):
            members = self._writable(group)
            del members[key]
            if not members:
                del self._members[group]
                self._own.discard(group)

    def _writable(self, group: GroupKey) -> dict[ObjectKey, Object]:
        self._touched.add(group)
        if group not in self._own:
            self._members[group] = dict(self._members.get(group, {}))
            self._own.add(group)
        return self._members[group]


def _key(obj: Object) -> ObjectKey:
    return (obj.kind, obj.namespace, obj.name)
