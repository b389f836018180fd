"""The existing name that a name may be a misspelling of."""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Iterable

MISSPELT = 3
"""How many characters longer or shorter a misspelt name may be."""
AROUND = 50
"""How many names on each side, in alphabetical order, are compared with it."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar of *names* that is about as long, and begins or ends much like *name*; None
    if none is similar.
    """
    alike = [other for other in names if abs(len(other) - len(name)) <= MISSPELT]
    candidates = _around(name, alike)
    candidates |= {other[::-1] for other in _around(name[::-1], [other[::-1] for other in alike])}
    best = difflib.get_close_matches(name, sorted(candidates), n=1)
    return best[0] if best else None


def _around(name: str, names: list[str]) -> set[str]:
    ordered = sorted(names)
    at = bisect.bisect(ordered, name)
    return set(ordered[max(0, at - AROUND) : at + AROUND])
