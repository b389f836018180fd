"""What a delta client is to be sent of one type at one moment, and what is left for later."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from towpath.model.snapshot import Resource


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to be sent, and the names under which something else will be later: of what is
    *blocked*, that must not be sent now, of what is *kept* though it is gone, and *postponed*.
    Under *revoked* names there is nothing any more, and what is new stands for that.
    """

    new: tuple[Resource, ...]
    removed: tuple[str, ...]
    blocked: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    postponed: frozenset[str] = frozenset()
    revoked: frozenset[str] = frozenset()

    @property
    def later(self) -> frozenset[str]:
        """Every name to be looked at again although its resource does not change."""
        return self.blocked | self.kept | self.postponed

    def keeping(self, names: Set[str]) -> Difference:
        """This, but *names* are not taken from the client yet."""
        removed = tuple(name for name in self.removed if name not in names)
        return Difference(self.new, removed, self.blocked, frozenset(names), self.postponed)

    def only(self, names: Set[str]) -> Difference:
        """This of *names*, and the rest later."""
        new = tuple(r for r in self.new if r.name in names)
        removed = tuple(n for n in self.removed if n in names)
        rest = ({r.name for r in self.new} | set(self.removed)) - names
        postponed = self.postponed.union(rest)
        return Difference(new, removed, self.blocked, self.kept, postponed)


NOTHING = Difference((), ())
