"""Keeper: writes the checkpoint when changes have settled, and restores from it when it must."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from towpath.model.codes import Code
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.sources.kube import checkpoint
from towpath.sources.kube.checkpoint import CheckpointError, Origin, Picture
from towpath.telemetry.metrics import Metrics
from towpath.telemetry.once import LogOnce

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Times, in seconds.

    It is written once nothing has changed for `quiet_s`, or `longest_s` after a first change, and
    anew every `every_s`, so that it tells how fresh it is. A kind for which the API server has
    given no answer `patience_s` after the start is restored; `look_s` is how often that is asked.
    """

    quiet_s: float = 1.0
    longest_s: float = 10.0
    every_s: float = 60.0
    patience_s: float = 3.0
    look_s: float = 0.5


class Holder(Protocol):
    """The source whose picture is kept."""

    def picture(self) -> Picture | None:
        """What is held now; None as long as a kind has never been seen."""

    def unheard(self) -> tuple[Kind, ...] | None:
        """Kinds never seen for which the API server gives no answer; None if all have been."""

    def restore(self, kinds: tuple[Kind, ...], picture: Picture) -> None:
        """Hold what the picture has of these kinds."""

    def report(self, problem: Problem | None) -> None:
        """Say that the checkpoint is what is served, or (None) that it is not any more."""


class Keeper:
    """One file, kept for one *origin*; one that is older than *max_age_s* is not served."""

    def __init__(
        self,
        path: Path,
        origin: Origin,
        *,
        metrics: Metrics,
        now: Callable[[], float],
        max_age_s: float = 86_400.0,
        rhythm: Rhythm | None = None,
    ) -> None:
        self._path = path
        self._origin = origin
        self._metrics = metrics
        self._now = now
        self._rhythm = rhythm or Rhythm()
        self._changed = asyncio.Event()
        self._dirty = False
        self._turn = self._written = 0
        self._writing = threading.Lock()
        self._failure = LogOnce(log)
        self._restoring: set[Kind] = set()
        self._max_age_s = max_age_s
        self._seen_at: float | None = None
        metrics.checkpoint_age.set_function(self.age_s)

    def age_s(self) -> float:
        """For how long nobody has confirmed what the file holds; 0 if it is not known yet."""
        return 0.0 if self._seen_at is None else max(self._now() - self._seen_at, 0.0)

    def changed(self) -> None:
        """What is held has changed."""
        self._dirty = True
        self._changed.set()

    def listed(self, kind: Kind) -> bool:
        """The kind is known from the API server; true if that ends the use of the checkpoint."""
        if kind not in self._restoring:
            return False
        self._restoring.discard(kind)
        self._metrics.checkpoint_kinds.set(len(self._restoring))
        return not self._restoring

    async def write(self, holder: Holder) -> None:
        """Keep the file up to date until cancelled; then once more, if that is due."""
        due: tuple[int, Picture] | None = None
        try:
            while True:
                await self._settled()
                if (due := self._due(holder)) is not None:
                    await asyncio.to_thread(self._write, *due)
        finally:
            # The thread of a cancelled write may not have begun, or not have ended.
            if self._dirty:
                due = self._due(holder)
            if due is not None:
                self._write(*due)

    async def restore(self, holder: Holder) -> None:
        """Restore what the API server does not tell; returns once every kind has been seen."""
        await asyncio.sleep(self._rhythm.patience_s)
        picture: Picture | None = None
        while (kinds := holder.unheard()) is not None:
            if kinds and picture is None:
                try:
                    picture = await asyncio.to_thread(self._read)
                except CheckpointError as error:
                    text = "the checkpoint %s is not used: %s; nothing is served before %s answers"
                    log.warning(text, self._path, error, self._origin.api_server)
                    return
                kinds = holder.unheard()  # an answer may have come meanwhile
            if kinds and picture is not None:
                self._use(holder, kinds, picture)
            await asyncio.sleep(self._rhythm.look_s)

    async def _settled(self) -> None:
        """Return a while after a change, or when it is time to write down how fresh all is."""
        rhythm = self._rhythm
        try:
            async with asyncio.timeout(rhythm.every_s):
                await self._changed.wait()
        except TimeoutError:
            return
        try:
            async with asyncio.timeout(rhythm.longest_s):
                while self._changed.is_set():
                    self._changed.clear()
                    await asyncio.sleep(rhythm.quiet_s)
        except TimeoutError:
            return

    def _due(self, holder: Holder) -> tuple[int, Picture] | None:
        """What is to be written now, and its turn."""
        picture = holder.picture()
        if picture is None:
            return None
        self._dirty = False
        self._turn += 1
        return self._turn, picture

    def _write(self, turn: int, picture: Picture) -> None:
        """Write it, unless a later one has been written: a thread may outlive its task."""
        with self._writing:
            if turn > self._written:
                self._written = turn
                self._replace(picture)

    def _replace(self, picture: Picture) -> None:
        try:
            checkpoint.write(self._path, self._origin, picture)
        except OSError as error:
            self._metrics.checkpoint_writes.labels("failed").inc()
            self._failure.tell(f"the checkpoint {self._path} cannot be written: {error}")
        else:
            self._seen_at = picture.seen_at
            self._metrics.checkpoint_writes.labels("written").inc()
            if self._failure.over():
                log.info("the checkpoint %s can be written again", self._path)

    def _read(self) -> Picture:
        now, longest = self._now(), self._max_age_s
        return checkpoint.read(self._path, self._origin, now=now, max_age_s=longest)

    def _use(self, holder: Holder, kinds: tuple[Kind, ...], picture: Picture) -> None:
        first = not self._restoring
        self._seen_at = picture.seen_at
        self._restoring.update(kinds)
        self._metrics.checkpoint_kinds.set(len(self._restoring))
        holder.restore(kinds, picture)
        if first:
            age = self._now() - picture.seen_at
            at = datetime.fromtimestamp(picture.seen_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            text = f"{self._origin.api_server} does not answer: serving what was seen at {at}"
            text += f", {age:,.0f} s before the start"
            log.warning("%s (checkpoint %s)", text, self._path)
            ref = ObjectRef("Checkpoint", "", str(self._path))
            holder.report(Problem(ref, "", Code.STALE_CLUSTER, text))
