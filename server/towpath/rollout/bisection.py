"""Which resource of a rejected response is the bad one: named in the client's words, or searched.

A client rejects a response as a whole, and only its text tells of what (XP, «ACK/NACK»). Where the
text names nothing, halves of the response are sent again, until the bad one is alone or *limit*
trials were made; what is then left is held to be bad as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable

TRIALS = 16


class Bisection:
    """The search in one client's rejected responses of one type; names stand for resources."""

    def __init__(self, *, limit: int = TRIALS) -> None:
        self._limit = limit
        self._left = limit
        self.groups: list[tuple[str, ...]] = []  # the first is the one on trial

    def rejected(self, sent: Iterable[str], text: str) -> tuple[str, ...]:
        """The client rejected what is *sent*; gives the names that are now known to be bad."""
        names = tuple(sorted(sent))
        bad = named_in(text, names)
        if bad or len(names) <= 1 or self._left <= 0:
            bad = bad or names
            self._forget(bad)
            self._conclude(bad)
            return bad
        self._forget(names)
        middle = len(names) // 2
        self.groups[:0] = [names[:middle], names[middle:]]
        self._left -= 1
        return ()

    def accepted(self, names: Iterable[str]) -> None:
        """The client accepted these."""
        names = tuple(names)
        self._forget(names)
        self._conclude(names)

    def next_half(self) -> bool:
        """There is nothing to try of those on trial: go on to the next; False if there are none."""
        del self.groups[:1]
        return bool(self.groups)

    def pending(self) -> frozenset[str]:
        """Names that must not be sent while others are on trial."""
        return frozenset(name for group in self.groups[1:] for name in group)

    def __contains__(self, name: object) -> bool:
        """True if it is searched whether that is bad."""
        return any(name in group for group in self.groups)

    def __bool__(self) -> bool:
        return bool(self.groups)

    def _conclude(self, names: tuple[str, ...]) -> None:
        """These are known to be bad, or good. If that ends the search, the next one has all of its
        trials; one that has learnt nothing leaves fewer, so that no two of them go on for ever.
        """
        if names and not self.groups:
            self._left = self._limit

    def _forget(self, names: Iterable[str]) -> None:
        gone = set(names)
        left = (tuple(n for n in group if n not in gone) for group in self.groups)
        self.groups = [group for group in left if group]


def named_in(message: str, names: Iterable[str]) -> tuple[str, ...]:
    """Which of the sent resources a client's error text speaks of.

    Envoy names listeners and clusters in the text; the text may also hold the whole resource, so
    a name that merely occurs inside another name does not count.
    """
    sent = tuple(names)
    result = {name for name in sent if name and name in message}
    outer = {name for name in result if not any(name != o and name in o for o in result)}
    return tuple(name for name in sent if name in outer)
