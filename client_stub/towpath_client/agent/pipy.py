"""Whoever makes Pipy read its file, whichever way it is reached."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar

from towpath_client.agent.outcome import Lines, Outcome

CHUNK = 65536
UNCERTAIN_S = 0.5
"""After a reload of which nothing was heard, its late word must not be taken for the next one's."""


class Pipy(ABC):
    """Whoever makes Pipy read its file again; *timeout* is for a reload's outcome, in seconds.

    *settle* is how long a reload's last word is waited for, in seconds.
    """

    def __init__(self, *, timeout: float, settle: float) -> None:
        self._timeout = timeout
        self._settle = settle
        self._uncertain = False

    own: ClassVar[bool] = False
    """True for a process that is started here, and has read what the file then said."""

    @property
    def stopping(self) -> bool:
        """True once it was told by a signal to end: then its end is no word on a configuration."""
        return False

    @property
    @abstractmethod
    def running(self) -> bool:
        """True if there is a process, as far as can be known."""

    @abstractmethod
    async def reload(self) -> Outcome:
        """Make it read the file, and wait for what comes of it."""

    @abstractmethod
    async def stop(self) -> tuple[str, int | None]:
        """End it at once. Gives why that cannot be ("": it is done), and the exit status of a
        process of ours.
        """

    async def start(self) -> None:
        """Begin with the file as it is; somebody else's process needs no beginning."""
        return

    def forward(self, number: int) -> bool:  # noqa: ARG002 (who has a process, hands it on)
        """Hand a signal on; False if there is no process of ours."""
        return False

    async def ended(self) -> int:
        """Wait for the end of a process of ours; gives its exit status."""
        never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        return await never

    async def _heard(self, lines: Lines) -> Outcome:
        settle = max(self._settle, UNCERTAIN_S) if self._uncertain else self._settle
        verdict = await lines.verdict(within=self._timeout, settle=settle)
        self._uncertain = verdict is None
        if verdict is None:
            text = f"no word of a reload within {self._timeout:g} s; last lines: {lines.last}"
            return Outcome(accepted=False, reason=text, known=False)
        if verdict:
            return Outcome(accepted=True)
        return Outcome(accepted=False, reason=lines.last, known=not lines.mixed)
