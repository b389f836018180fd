"""Each configuration is written, tried, and then acknowledged, or refused and taken back."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterable, Callable

from towpath_api.v1.pipy import to_json
from towpath_api.v1.sidecar_pb2 import SidecarConfig
from towpath_client.agent.counters import Counters
from towpath_client.agent.files import ConfigFile
from towpath_client.agent.outcome import Outcome
from towpath_client.agent.pipy import Pipy
from towpath_client.update import Resource, Update

log = logging.getLogger(__name__)


class PipyEnded(Exception):
    """Pipy ended while it took a configuration; *status* is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"Pipy ended with status {status}")
        self.status = status


class Agent:
    """Keeps one Pipy at the newest configuration that it accepts.

    While Pipy reloads nothing is taken; then comes the newest, whatever came in between.
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

    async def recover(self) -> None:
        """Begin with the last good configuration, if there is one, without waiting for a server."""
        version = self._files.recover()
        if version is not None:
            log.info("starting with the last good configuration, %s", version)
            self._counters.version = version
            await self._pipy.start()

    @property
    def unhealthy(self) -> str:
        """Why the sidecar is not at work; "" if it is."""
        if not self._pipy.running:
            return "Pipy is not running"
        return "" if self._counters.version else "no configuration has been accepted yet"

    async def follow(self, updates: AsyncIterable[Update]) -> None:
        """Take updates until there are no more. Raises PipyEnded when one ends Pipy."""
        async for update in updates:
            resource = update.resources.get(self._node_id)
            if resource is None:
                for name, fault in update.resource_errors.items():
                    log.warning("no configuration for %s: %s", name, fault.message)
                continue
            await self._take(update, resource)

    async def _take(self, update: Update, resource: Resource) -> None:
        version = resource.version
        if version == self._counters.version:
            self._counters.updates["unchanged"] += 1
            await update.ack()
            return
        reason = self._files.why_refused(version)
        if reason is not None:
            await self._refuse(update, version, f"it ended Pipy before: {reason}")
            return
        config = SidecarConfig()
        try:
            resource.body.Unpack(config)
            text = to_json(config, version=version)
        except ValueError as error:
            await self._refuse(update, version, f"it cannot be written: {error}")
            return
        outcome = await self._try(text)
        if outcome.accepted:
            self._files.keep()
            self._counters.version = version
            self._counters.accepted_at = self._clock()
            self._counters.updates["accepted"] += 1
            log.info("accepted %s", version)
            await update.ack()
            return
        restored = self._files.restore()
        if outcome.ended is not None:
            self._files.remember_refused(version, outcome.reason)
        elif restored and not outcome.known:
            await self._pipy.nudge()
        await self._refuse(update, version, outcome.reason)
        if outcome.ended is not None:
            raise PipyEnded(outcome.ended)

    async def _try(self, text: str) -> Outcome:
        try:
            self._files.write(text)
        except OSError as error:
            return Outcome(accepted=False, reason=f"it cannot be written: {error}")
        begun = time.monotonic()
        outcome = await self._pipy.reload()
        self._counters.reloads += 1
        self._counters.reload_seconds += time.monotonic() - begun
        return outcome

    async def _refuse(self, update: Update, version: str, reason: str) -> None:
        self._counters.updates["refused"] += 1
        self._counters.last_refusal = reason
        log.warning("refused %s: %s", version, reason)
        await update.nack(reason)
