"""Each configuration is written, tried, and then acknowledged, or refused and taken back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterable, Callable

from towpath_api.v1.pipy import is_closed, to_json
from towpath_api.v1.sidecar_pb2 import SidecarConfig
from towpath_client.agent.counters import Counters
from towpath_client.agent.files import ConfigFile
from towpath_client.agent.outcome import Outcome
from towpath_client.agent.pipy import Pipy
from towpath_client.backoff import Backoff
from towpath_client.update import Resource, Update

log = logging.getLogger(__name__)


class PipyEnded(Exception):
    """Pipy ended while it took a configuration; *status* is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"Pipy ended with status {status}")
        self.status = status


class Agent:
    """Keeps one Pipy at the newest configuration that it accepts.

    While Pipy reloads nothing is taken; then comes the newest, whatever came in between. A Pipy of
    which it is not known what it has read is always told, be the version what it was.
    """

    def __init__(
        self,
        node_id: str,
        files: ConfigFile,
        pipy: Pipy,
        counters: Counters,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._node_id = node_id
        self._files = files
        self._pipy = pipy
        self._counters = counters
        self._clock = clock
        self._isolated = ""  # why Pipy was stopped
        self._turn = asyncio.Lock()
        self._unsure = asyncio.Event()
        """Set while Pipy may have read another file than that of the version in force."""

    async def recover(self) -> None:
        """Begin with the last good configuration, if there is one, without waiting for a server."""
        version = self._files.recover()
        if version is None:
            return
        log.info("starting with the last good configuration, %s", version, extra=self._of(version))
        self._counters.version = version
        if self._pipy.own:
            await self._pipy.start()
            return
        # It may have read what was being tried when the agent before this one ended.
        self._unsure.set()
        if self._pipy.running:
            await self._confirm()

    @property
    def unhealthy(self) -> str:
        """Why the sidecar is not at work; "" if it is."""
        if self._isolated:
            return f"isolated: {self._isolated}"
        if not self._pipy.running:
            return "Pipy is not running"
        if not self._counters.version:
            return "no configuration has been accepted yet"
        return "it is not known what Pipy has read" if self._unsure.is_set() else ""

    async def follow(self, updates: AsyncIterable[Update]) -> None:
        """Take updates until there are no more. Raises PipyEnded when one ends Pipy."""
        async for update in updates:
            resource = update.resources.get(self._node_id)
            if resource is None:
                for name, fault in update.resource_errors.items():
                    text = "no configuration for %s: %s"
                    log.warning(text, name, fault.message, extra={"node": name})
                continue
            async with self._turn:
                await self._take(update, resource)

    async def keep_sure(self) -> None:
        """Tell a Pipy again and again until it is known what it has read; never returns."""
        while True:
            await self._unsure.wait()
            backoff = Backoff()
            while self._unsure.is_set():
                await backoff.wait()
                async with self._turn:
                    if self._unsure.is_set() and self._pipy.running:
                        await self._confirm()

    async def _take(self, update: Update, resource: Resource) -> None:
        version = resource.version
        if version == self._counters.version and not self._unsure.is_set():
            self._counters.updates["unchanged"] += 1
            await update.ack()
            return
        config = SidecarConfig()
        try:
            resource.body.Unpack(config)
            text = to_json(config, version=version)
        except ValueError as error:
            await self._refuse(update, version, f"it cannot be written: {error}")
            return
        reason = self._files.why_refused(version)
        if reason is None:
            outcome = await self._try(text)
        else:
            outcome = Outcome(accepted=False, reason=f"it ended Pipy before: {reason}")
        if outcome.accepted:
            await self._accept(update, version)
        else:
            await self._take_back(update, version, outcome, closed=is_closed(config))

    async def _accept(self, update: Update, version: str) -> None:
        self._files.keep()
        self._unsure.clear()
        self._isolated = ""
        self._counters.version = version
        self._counters.accepted_at = self._clock()
        self._counters.updates["accepted"] += 1
        log.info("accepted %s", version, extra=self._of(version))
        await update.ack()

    async def _take_back(
        self, update: Update, version: str, outcome: Outcome, *, closed: bool
    ) -> None:
        """Go back to the last good configuration, unless that may be wider than it should be."""
        if closed:
            await self._isolate(update, version, outcome.reason)
            return
        restored = self._files.restore()
        if outcome.ended is not None:
            self._files.remember_refused(version, outcome.reason)
        if restored and not outcome.known:
            self._unsure.set()
        await self._refuse(update, version, outcome.reason)
        if outcome.ended is not None:
            raise PipyEnded(outcome.ended)
        if self._unsure.is_set():
            await self._confirm()

    async def _isolate(self, update: Update, version: str, reason: str) -> None:
        """What lets nothing through was refused: nothing goes through a Pipy that is not there.

        The server sends it when Pipy has rejected what it should hold, and what both that and the
        one before let through. What Pipy still runs is wider.
        """
        self._isolated = f"Pipy did not take what lets nothing through: {reason}"
        self._counters.version = ""
        self._unsure.clear()
        self._files.forget()
        log.error("%s; it is stopped", self._isolated)
        failure, status = await self._pipy.stop()
        if failure:
            self._isolated += f"; and it cannot be stopped: {failure}"
            log.error("Pipy cannot be stopped: %s", failure)
        await self._refuse(update, version, reason)
        if status is not None:
            raise PipyEnded(status)

    async def _confirm(self) -> None:
        """Have Pipy read the file that is in force, since it is not known what it has read."""
        outcome = await self._reload()
        if outcome.accepted:
            self._unsure.clear()
        else:
            log.warning("it is not known what Pipy has read: %s", outcome.reason)

    async def _try(self, text: str) -> Outcome:
        try:
            self._files.write(text)
        except OSError as error:
            return Outcome(accepted=False, reason=f"it cannot be written: {error}")
        return await self._reload()

    async def _reload(self) -> Outcome:
        begun = time.monotonic()
        outcome = await self._pipy.reload()
        self._counters.reloads += 1
        self._counters.reload_seconds += time.monotonic() - begun
        return outcome

    async def _refuse(self, update: Update, version: str, reason: str) -> None:
        self._counters.updates["refused"] += 1
        self._counters.last_refusal = reason
        log.warning("refused %s: %s", version, reason, extra=self._of(version))
        await update.nack(reason)

    def _of(self, version: str) -> dict[str, str]:
        """What a line of the log about a version names."""
        return {"node": self._node_id, "version": version}
