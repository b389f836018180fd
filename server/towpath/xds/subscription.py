"""What a client asks for of one type, as a pure value: each request leads to the next one.

The rules are those of XP, «How the client specifies what resources to return». A client asks for
names, or for everything by the wildcard, or for both. It asks for the wildcard by its name; or, as
old clients do, by listing nothing as long as it never has listed anything (the legacy wildcard).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace

WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class Subscription:
    """The names that a client asks for, and whether it asks for everything besides.

    `explicit`: it has listed something, be it to unsubscribe; from then on an empty list never
    means everything.
    """

    names: frozenset[str] = frozenset()
    wildcard: bool = False
    explicit: bool = False

    def wants(self, name: str) -> bool:
        """True if the client asks for that name, or for everything."""
        return self.wildcard or name in self.names

    @property
    def empty(self) -> bool:
        """True if the client asks for nothing at all."""
        return not (self.wildcard or self.names)

    def restated(self, listed: frozenset[str], *, legacy_wildcard: bool) -> Subscription:
        """After a request of the state of the world, which lists all that is asked for;
        *legacy_wildcard*: of this type, listing nothing may mean everything.
        """
        if self.explicit and not self.wildcard and (listed is self.names or listed == self.names):
            return self
        explicit = self.explicit or bool(listed)
        named = WILDCARD in listed
        everything = named or (legacy_wildcard and not explicit)
        after = Subscription(listed - {WILDCARD} if named else listed, everything, explicit)
        return self if after == self else after

    def changed(self, subscribe: Set[str], unsubscribe: Set[str]) -> Subscription:
        """After a delta request, which lists what is new and what has ended; of a name in both
        lists, the subscription has ended.
        """
        if not (subscribe or unsubscribe):
            return self if self.explicit or self.wildcard else replace(self, wildcard=True)
        wildcard = (self.wildcard or WILDCARD in subscribe) and WILDCARD not in unsubscribe
        names = self.names | subscribe if self.names else frozenset(subscribe)
        if unsubscribe or WILDCARD in names:
            names = names - unsubscribe - {WILDCARD}
        return Subscription(names, wildcard, explicit=True)

    def forgotten(self) -> Subscription:
        """After the client has dropped every name without a word: what it lists next is new."""
        return replace(self, names=frozenset())
