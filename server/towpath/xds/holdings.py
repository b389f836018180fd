"""What a client holds of one type: some set of resources, but for a few names.

A client that has accepted all that it is sent holds what its snapshot has, so its stream keeps
nothing but a reference to that; and what may differ is found without looking at the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Set

from towpath.model.snapshot import Resource, ResourceSet

Changes = Mapping[str, Resource | None]
"""Resources by name; None: there is none of that name."""


class Holdings(Mapping[str, Resource]):
    """Resources by name: those of *base*, of these *names* only if there are such, but for *own*.

    A value: each change leads to another one.
    """

    __slots__ = ("_base", "_names", "_own")

    def __init__(
        self, base: ResourceSet, names: frozenset[str] | None = None, own: Changes | None = None
    ) -> None:
        self._base = base
        self._names = names
        self._own: Changes = own or {}

    @classmethod
    def of(cls, type_url: str, resources: Changes) -> Holdings:
        """These resources and no other."""
        return cls(ResourceSet(type_url), None, resources)

    def find(self, name: str) -> Resource | None:
        """The resource of that name; None if there is none."""
        if name in self._own:
            return self._own[name]
        if self._names is not None and name not in self._names:
            return None
        return self._base.find(name)

    def among(self, names: Set[str]) -> frozenset[str]:
        """Those of *names* under which there is something."""
        return frozenset([name for name in names if self.find(name) is not None])

    def changed(self, changes: Changes) -> Holdings:
        """After these changes."""
        if not changes:
            return self
        return Holdings(self._base, self._names, {**self._own, **changes})

    def limited(self, names: frozenset[str]) -> Holdings:
        """Of these names only; none of them is there that was not before."""
        if names is self._names:
            return self
        new = () if self._names is None else names - self._names
        own: dict[str, Resource | None] = {name: None for name in new if name in self._base}
        own |= {name: resource for name, resource in self._own.items() if name in names}
        return Holdings(self._base, names, own)

    def unlimited(self) -> Holdings:
        """The same, to which any name may be added."""
        if self._names is None:
            return self
        own: dict[str, Resource | None] = dict.fromkeys(self._base.keys() - self._names)
        return Holdings(self._base, None, own | dict(self._own))

    def over(self, base: ResourceSet) -> Holdings:
        """The same, told by what differs from *base*, whose resources take the place of equal ones
        of which the bytes are not known.
        """
        if base is self._base and not self._own:
            return self
        own: dict[str, Resource | None] = {}
        for name in self.differing(base):
            resource = self.find(name)
            if resource != base.find(name):
                own[name] = resource
        return Holdings(base, self._names, own)

    def differing(self, other: ResourceSet) -> frozenset[str]:
        """Names, of those that matter here, under which *other* may have something else."""
        changed = other.changed_since(self._base)
        if self._names is not None and changed:
            changed &= self._names
        return changed.union(self._own) if self._own else changed

    def changed_since(self, old: Holdings) -> frozenset[str]:
        """Names under which *old* had something else, or nothing, or there is nothing now."""
        if self is old:
            return frozenset()
        names = self._base.changed_since(old._base).union(self._own, old._own)
        if self._names is not old._names and self._names != old._names:
            names = names.union(self._candidates, old._candidates)
        return frozenset([name for name in names if self.find(name) != old.find(name)])

    def is_all_of(self, resources: ResourceSet) -> bool:
        """True if this is just what *resources* has; it may be false though they are equal."""
        if resources is not self._base or self._own:
            return False
        return self._names is None or len(self) == len(resources)

    @property
    def base(self) -> ResourceSet:
        return self._base

    @property
    def own(self) -> Changes:
        """What differs from the base."""
        return self._own

    @property
    def limited_to(self) -> frozenset[str] | None:
        """The only names of the base that count; None: all."""
        return self._names

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every name; those of the base in its order, if this is all that it has."""
        if self._names is None and not self._own:
            return self._base.names
        return tuple(sorted(self.among({*self._candidates, *self._own})))

    @property
    def _candidates(self) -> Collection[str]:
        """Where something of the base may be looked for."""
        return self._base if self._names is None else self._names

    def __getitem__(self, name: str) -> Resource:
        resource = self.find(name)
        if resource is None:
            raise KeyError(name)
        return resource

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.all_names)

    def __len__(self) -> int:
        if not self._own:
            if self._names is None:
                return len(self._base)
            return len(self._names) - len(self._base.missing(self._names))
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        if any(self._own.values()):
            return True
        return any(name not in self._own and name in self._base for name in self._candidates)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Holdings) and not self.changed_since(other)

    __hash__ = None  # type: ignore[assignment]
