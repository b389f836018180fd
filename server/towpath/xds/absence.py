"""What a client is told of names that it asks for and that are not there.

Clients differ in what does them good, so it hangs on who asks. Silence means «it may still come»
in both variants (XP, «Knowing When a Requested Resource Does Not Exist»).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from towpath.model.types import ROUTES
from towpath.xds.messages import Node

NOT_FOUND, PERMISSION_DENIED = 5, 7  # of google.rpc.Code
COMPARED_NAMES = 2000
"""How many names are compared to find the nearest."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one name is not served: an entry of `resource_errors`."""

    name: str
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Manners:
    """How one sort of client is told.

    `stand_ins`: in the state of the world, an empty resource ends Envoy's warming, which else
    lasts for 15 s. `silent`: told that routes it waits for do not exist, Envoy stops its timer and
    waits without end. `faults`: the client reads `resource_errors` and fails at once, in our words.
    """

    stand_ins: bool = False
    silent: frozenset[str] = frozenset()
    faults: bool = False


_BY_USER_AGENT = {
    "envoy": Manners(stand_ins=True, silent=frozenset({ROUTES})),
    "gRPC": Manners(faults=True),
    "towpath": Manners(faults=True),
}
_BY_THE_BOOK = Manners()


def manners_of(node: Node) -> Manners:
    """By the name of the client's software; of one that nobody knows, what the protocol says."""
    for prefix, manners in _BY_USER_AGENT.items():
        if node.user_agent.startswith(prefix):
            return manners
    return _BY_THE_BOOK


def fault(name: str, existing: Iterable[str], *, forbidden: str | None) -> Fault:
    """Say that *name* is *forbidden*, in those words, or else what it may have been meant to be."""
    if forbidden is not None:
        return Fault(name, PERMISSION_DENIED, forbidden)
    known = [held for held, _ in zip(existing, range(COMPARED_NAMES), strict=False)]
    nearest = difflib.get_close_matches(name[:256], known, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return Fault(name, NOT_FOUND, f"there is no {name!r} here{hint}")
