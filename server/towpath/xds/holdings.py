"""What a client holds of one type: some set of resources, but for a few names.

A client that has accepted all that it is sent holds what its snapshot has, so its stream keeps
nothing but a reference to that; and what may differ is found without looking at the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from towpath.model.snapshot import Resource, ResourceSet

Changes = Mapping[str, Resource | None]
"""Resources by name; None: there is none of that name."""


class Holdings(Mapping[str, Resource]):
    """Resources by name: those of *base*, of these *names* only if there are such, but for *own*.

    A value: each change leads to another one.
    """

    __slots__ = ("base", "limited_to", "own")

    def __init__(
        self, base: ResourceSet, names: frozenset[str] | None = None, own: Changes | None = None
    ) -> None:
        self.base = base
        self.limited_to = names
        """The only names of the base that count; None: all."""
        self.own: Changes = own or {}
        """What differs from the base."""

    @classmethod
    def of(cls, type_url: str, resources: Changes) -> Holdings:
        """These resources and no other."""
        return cls(ResourceSet(type_url), None, resources)

    def find(self, name: str) -> Resource | None:
        """The resource of that name; None if there is none."""
        if name in self.own:
            return self.own[name]
        if self.limited_to is not None and name not in self.limited_to:
            return None
        return self.base.find(name)

    def missing(self, names: frozenset[str]) -> frozenset[str]:
        """Those of *names* under which there is nothing."""
        missing = self.base.missing(names)
        if self.limited_to is not None:
            missing |= names - self.limited_to
        if self.own:
            differing = names & self.own.keys()
            gone = frozenset([name for name in differing if self.own[name] is None])
            missing = (missing - differing) | gone
        return missing

    def among(self, names: frozenset[str]) -> frozenset[str]:
        """Those of *names* under which there is something."""
        return names - self.missing(names)

    def changed(self, changes: Changes) -> Holdings:
        """After these changes."""
        if not changes:
            return self
        return Holdings(self.base, self.limited_to, {**self.own, **changes})

    def limited(self, names: frozenset[str]) -> Holdings:
        """Of these names only; none of them is there that was not before."""
        if names is self.limited_to:
            return self
        new = () if self.limited_to is None else names - self.limited_to
        own: dict[str, Resource | None] = {name: None for name in new if name in self.base}
        own |= {name: resource for name, resource in self.own.items() if name in names}
        return Holdings(self.base, names, own)

    def unlimited(self) -> Holdings:
        """The same, to which any name may be added."""
        if self.limited_to is None:
            return self
        own: dict[str, Resource | None] = dict.fromkeys(self.base.keys() - self.limited_to)
        return Holdings(self.base, None, own | dict(self.own))

    def over(self, base: ResourceSet) -> Holdings:
        """The same, told by what differs from *base*, whose resources take the place of equal ones
        of which the bytes are not known.
        """
        if base is self.base and not self.own:
            return self
        own: dict[str, Resource | None] = {}
        for name in self.differing(base):
            resource, there = self.find(name), base.find(name)
            if resource is not there and resource != there:
                own[name] = resource
        return Holdings(base, self.limited_to, own)

    def differing(self, other: ResourceSet) -> frozenset[str]:
        """Names, of those that matter here, under which *other* may have something else."""
        changed = other.changed_since(self.base)
        if self.limited_to is not None and changed:
            changed &= self.limited_to
        return changed.union(self.own) if self.own else changed

    def changed_since(self, old: Holdings) -> frozenset[str]:
        """Names under which *old* had something else, or nothing, or there is nothing now."""
        if self is old:
            return frozenset()
        names = self.base.changed_since(old.base).union(self.own, old.own)
        if self.limited_to is not old.limited_to and self.limited_to != old.limited_to:
            names = names.union(self._candidates, old._candidates)
        return frozenset([name for name in names if self.find(name) != old.find(name)])

    def is_all_of(self, resources: ResourceSet) -> bool:
        """True if this is just what *resources* has; it may be false though they are equal."""
        if resources is not self.base or self.own:
            return False
        return self.limited_to is None or len(self) == len(resources)

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every name; those of the base in its order, if this is all that it has."""
        if self.limited_to is None and not self.own:
            return self.base.names
        return tuple(sorted(self.among(frozenset([*self._candidates, *self.own]))))

    @property
    def _candidates(self) -> Collection[str]:
        """Where something of the base may be looked for."""
        return self.base if self.limited_to is None else self.limited_to

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
        if not self.own:
            if self.limited_to is None:
                return len(self.base)
            return len(self.limited_to) - len(self.base.missing(self.limited_to))
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        if any(self.own.values()):
            return True
        return any(name not in self.own and name in self.base for name in self._candidates)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Holdings) and not self.changed_since(other)

    __hash__ = None  # type: ignore[assignment]
