"""Waits for a client's answer, each bounded: the two halves of make before break."""

from __future__ import annotations

from collections.abc import Callable

from towpath.xds.messages import Waited

MAKE = "make"
"""What uses new clusters waits until the client has them."""

BREAK = "break"
"""Clusters that are gone wait until the client no longer uses them."""


class Waits:
    """One stream's waits; each ends after *longest* seconds of *clock*, answered or not."""

    def __init__(self, *, clock: Callable[[], float], longest: float) -> None:
        self._clock = clock
        self._longest = longest
        self._since: dict[str, float] = {}

    def over(self, phase: str) -> bool:
        """True if there is such a wait and it has lasted long enough."""
        since = self._since.get(phase)
        return since is not None and self._clock() - since >= self._longest

    def update(self, phase: str, *, waiting: bool) -> list[Waited]:
        """Say whether something waits; gives how long a wait took that has ended."""
        if waiting:
            self._since.setdefault(phase, self._clock())
            return []
        if phase not in self._since:
            return []
        expired = self.over(phase)
        return [Waited(phase, self._clock() - self._since.pop(phase), expired)]

    def update_both(self, waiting: tuple[bool, bool]) -> list[Waited]:
        """Say of both phases, in their order, whether something waits."""
        make, end = waiting
        if not (self._since or make or end):
            return []
        return [*self.update(MAKE, waiting=make), *self.update(BREAK, waiting=end)]

    @property
    def any_over(self) -> bool:
        """True if a wait has lasted long enough."""
        deadline = self.deadline
        return deadline is not None and self._clock() >= deadline

    @property
    def deadline(self) -> float | None:
        """When the first wait ends; None if nothing waits."""
        return min(self._since.values()) + self._longest if self._since else None
