"""The answers to a client's subscription to names that do not exist.

What helps depends on the client. Silence means "it may still come" in both variants (XP, "Knowing
When a Requested Resource Does Not Exist").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from towpath.model.nearest import nearest
from towpath.model.types import ROUTES
from towpath.xds.messages import Node

NOT_FOUND, PERMISSION_DENIED = 5, 7  # of google.rpc.Code
HINTS = 4
"""For how many names of one response a nearest one is sought; each takes some milliseconds."""
MOST_FOR_HINTS = 1_000
"""Who lacks more names than this has not misspelt them."""


MOST_TOLD = 2_500
"""Of how many names that are not there one response tells: a client may ask for any, and everybody
else waits meanwhile. Of the next ones it is told when it has answered.
"""


class Fault(NamedTuple):
    """Why one name is not served: an entry of `resource_errors`."""

    name: str
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class AbsencePolicy:
    """How one sort of client is told.

    `stand_ins`: in the state of the world, an empty resource ends Envoy's warming, which else
    lasts for 15 s. `silent`: told that routes it waits for do not exist, Envoy stops its timer and
    waits without end. `faults`: the client reads `resource_errors` and fails at once, in our words.
    """

    stand_ins: bool = False
    silent: frozenset[str] = frozenset()
    faults: bool = False


_BY_USER_AGENT = {
    "envoy": AbsencePolicy(stand_ins=True, silent=frozenset({ROUTES})),
    "gRPC": AbsencePolicy(faults=True),
    "towpath": AbsencePolicy(faults=True),
}
DEFAULT = AbsencePolicy()
"""What the protocol says, for clients that nobody knows."""


def absence_policy(node: Node) -> AbsencePolicy:
    """By the name of the client's software."""
    for prefix, policy in _BY_USER_AGENT.items():
        if node.user_agent.startswith(prefix):
            return policy
    return DEFAULT


def faults(
    names: Iterable[str], existing: Collection[str], *, forbidden: Callable[[str], str | None]
) -> tuple[Fault, ...]:
    """Why each of *names* is not there: because it is *forbidden*, in those words; or, of the first
    few of the others, what it may have been meant to be.
    """
    errors: list[Fault] = []
    absent = sorted(names)
    hints = HINTS if len(absent) <= MOST_FOR_HINTS else 0
    for name in absent:
        refusal = forbidden(name)
        if refusal is not None:
            errors.append(Fault(name, PERMISSION_DENIED, refusal))
            continue
        near = nearest(name, existing) if hints else None
        hints -= hints > 0
        hint = f"; did you mean {near!r}?" if near else ""
        errors.append(Fault(name, NOT_FOUND, f"there is no {name!r} here{hint}"))
    return tuple(errors)
