"""What came of a reload, read from the lines that Pipy prints."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

RELOADED = "Codebase reloaded"
FAILED = "Failed reloading codebase"
LONGEST_LINE = 4096
LINES_TOLD = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """Accepted, or refused for a reason; *ended* is the status that Pipy ended with, if it did.

    A *known* outcome was seen; else Pipy said nothing in time, and may yet take the file.
    """

    accepted: bool
    reason: str = ""
    ended: int | None = None
    known: bool = True


class Lines:
    """Pipy's output as it comes: *any* at all, the last lines, and what they say of a reload."""

    def __init__(self) -> None:
        self._partial = b""
        self._told: deque[str] = deque(maxlen=LINES_TOLD)
        self._verdicts: list[bool] = []
        self._verdict = asyncio.Event()
        self.any = asyncio.Event()

    def begin(self) -> None:
        """What comes from now on is of a new reload."""
        self._told.clear()
        self._verdicts.clear()
        self._verdict.clear()

    def feed(self, data: bytes) -> None:
        """Take output in pieces of any size."""
        *lines, rest = (self._partial + data).split(b"\n")
        self._partial = rest[-LONGEST_LINE:]
        for line in lines:
            self._take(line[-LONGEST_LINE:].decode(errors="replace").strip())

    @property
    def last(self) -> str:
        """The last lines, for a reason."""
        return " / ".join(self._told)

    @property
    def mixed(self) -> bool:
        """True if some threads have taken what others have not."""
        return len(set(self._verdicts)) > 1

    async def verdict(self, *, within: float, settle: float) -> bool | None:
        """True for a success, False for a failure; None if *within* so many seconds none is heard.

        Every thread of Pipy says its own: it is over when none has spoken for *settle* seconds.
        """
        wait = within
        while True:
            try:
                async with asyncio.timeout(wait):
                    await self._verdict.wait()
            except TimeoutError:
                return all(self._verdicts) if self._verdicts else None
            self._verdict.clear()
            wait = settle

    def _take(self, line: str) -> None:
        if not line:
            return
        self._told.append(line)
        self.any.set()
        if RELOADED in line or FAILED in line:
            self._verdicts.append(FAILED not in line)
            self._verdict.set()
