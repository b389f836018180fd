"""Outage: which kinds cannot be followed, since when; one log line when that begins or ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from towpath.model.names import Kind

log = logging.getLogger(__name__)


class Outage:
    """What the reflectors of one server know together. *clock*: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: float | None = None
        self._failing: set[Kind] = set()
        self._away: set[Kind] = set()
        self._heard: set[Kind] = set()
        self._served: set[Kind] = set()
        self._said_at: float | None = None
        self._answers = asyncio.Event()

    def stale_seconds(self) -> float:
        """For how long a kind could not be followed; 0 while all can."""
        return 0.0 if self._since is None else self._clock() - self._since

    def heard(self, kind: Kind) -> bool:
        """True if the server's last word for the kind was an answer."""
        return kind in self._heard

    def stale(self, kind: Kind, age_s: float) -> None:
        """What is held of the kind was last known to be true so many seconds ago."""
        since = self._clock() - max(age_s, 0.0)
        self._since = since if self._since is None else min(self._since, since)
        self._failing.add(kind)
        self._served.add(kind)

    def failing(self, kind: Kind) -> None:
        """The kind is not followed at the moment."""
        if self._since is None:
            self._since = self._clock()
        self._failing.add(kind)

    def away(self, kind: Kind, why: str) -> None:
        """The server did not answer for the kind, or said that it is in trouble."""
        self.failing(kind)
        self._away.add(kind)
        self._heard.discard(kind)
        if self._said_at is None:
            self._said_at = self._clock()
            served = (
                "what was last seen is served" if kind in self._served else "nothing is served yet"
            )
            log.warning("%s; %s", why, served)

    def answered(self, kind: Kind) -> None:
        """The server gave an answer for the kind, were it a refusal."""
        self._heard.add(kind)
        if kind not in self._away:
            return
        self._away.discard(kind)
        # Those that pause need not wait any longer: the server is back.
        answers, self._answers = self._answers, asyncio.Event()
        answers.set()
        if not self._away and self._said_at is not None:
            log.info("the API server answers again, after %.1f s", self._clock() - self._said_at)
            self._said_at = None

    def working(self, kind: Kind) -> None:
        """The kind is followed, or known to have no objects."""
        self.answered(kind)
        self._served.add(kind)
        self._failing.discard(kind)
        if not self._failing:
            self._since = None

    async def rest(self, seconds: float, *, until_it_answers: bool) -> bool:
        """Pause; if wanted, only until the server answers for some other kind: then true."""
        if not until_it_answers:
            await asyncio.sleep(seconds)
            return False
        try:
            async with asyncio.timeout(seconds):
                await self._answers.wait()
        except TimeoutError:
            return False
        return True
