"""StatusWriter: of all replicas one writes what has become of each policy; the others report to it.

Written is only what has changed, a bounded number of objects at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime

from towpath.answers.status import PolicyStatus
from towpath.hub.debounce import Debounce
from towpath.hub.hub import Hub
from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.kubeapi.lease import Lease
from towpath.status.conditions import StatusDocument, condition_states, status_document
from towpath.status.events import events
from towpath.status.pace import Pace
from towpath.status.reports import Reports
from towpath.status.writes import Writes
from towpath.status.written import read_written
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

TICK_S = 2.0
"""How often is looked at what others may have changed: the lease, and their reports."""
STATUSES_AT_ONCE = 50
EVENTS_AT_ONCE = 10
STATE_GAP_S, COUNTS_GAP_S = 1.0, 10.0
"""Between two writes of one status: if a condition changes, and if only counts or texts do."""
READ_AGAIN_S = 600.0
"""What others did to a status meanwhile is put right."""
_CLUSTER = "cluster"
_NEVER = float("inf")


class StatusWriter:
    """*status_debounce* says when a count or a policy may have changed; *clock* is monotonic, in
    seconds, *now* the time people read.
    """

    def __init__(
        self,
        hub: Hub,
        api: KubeApi,
        *,
        lease: Lease,
        reports: Reports,
        status_debounce: Debounce,
        identity: str,
        metrics: Metrics,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._hub = hub
        self._api = api
        self._lease = lease
        self._reports = reports
        self._status_debounce = status_debounce
        self._clock = clock
        self._now = now
        self._pace = Pace(clock)
        self._writes = Writes(api, pace=self._pace, identity=identity, metrics=metrics, now=now)
        self._written: dict[str, StatusDocument] | None = None  # by uid; None until it is read
        self._read_at = 0.0
        self._told: dict[str, bool] = {}  # by name of an Event
        self._again_at = _NEVER  # when the first of what has to wait may be written
        metrics.status_writer.labels(lease.full_name).set_function(lambda: lease.held)

    async def run(self) -> None:
        """Write, or stand by, until cancelled; then the lease and our report are given back."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lease.run())
            try:
                await self._follow()
            finally:
                with contextlib.suppress(KubeApiError, TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        await self._reports.withdraw()

    async def _follow(self) -> None:
        news = False
        while True:
            news = await self._told_within(TICK_S) or news
            if not self._hub.ready:
                continue
            try:
                if self._lease.held:
                    await self._lead(news=news)
                else:
                    await self._stand_by(news=news)
            except KubeApiError as error:
                if self._pace.failed(_CLUSTER, error.status, at_least_s=error.retry_after_s):
                    log.warning("status cannot be written: %s", error)
                await asyncio.sleep(self._pace.at(_CLUSTER) - self._clock())
            else:
                self._pace.forget(_CLUSTER)
                news = False

    async def _told_within(self, seconds: float) -> bool:
        """Wait for news, but not longer; true if there are some."""
        try:
            async with asyncio.timeout(seconds):
                await self._status_debounce.wait()
        except TimeoutError:
            return False
        return True

    async def _stand_by(self, *, news: bool) -> None:
        self._written = None
        if news or self._reports.due:
            await self._reports.tell(await self._hub.in_turn(self._hub.policies))

    async def _lead(self, *, news: bool) -> None:
        await self._reports.withdraw()
        news_of_others = await self._reports.listen()
        now = self._clock()
        if self._written is None or now - self._read_at > READ_AGAIN_S:
            self._written, self._read_at = await read_written(self._api), now
        elif not (news or news_of_others or now >= self._again_at):
            return
        self._again_at = _NEVER
        await self._write_statuses(self._written, await self._hub.in_turn(self._hub.policies))
        await self._write_events()

    async def _write_statuses(
        self, documents: dict[str, StatusDocument], statuses: tuple[PolicyStatus, ...]
    ) -> None:
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        turned: list[tuple[PolicyStatus, StatusDocument, float]] = []
        moved: list[tuple[PolicyStatus, StatusDocument, float]] = []
        for status in statuses:
            if not (uid := status.stamp.uid):
                continue
            before = documents.get(uid, {})
            counts, unheard = self._reports.total(status)
            after = status_document(status, counts, unheard=unheard, present=before, now=now)
            if condition_states(after) != condition_states(before):
                turned.append((status, after, STATE_GAP_S))
            elif after != before:
                moved.append((status, after, COUNTS_GAP_S))
        turns = STATUSES_AT_ONCE
        for status, after, gap_s in (*turned, *moved):
            done = False
            if turns and self._may(self._writes.status_at(status, gap_s=gap_s)):
                turns -= 1
                done = await self._writes.status(status, after)
            if done:
                documents[status.stamp.uid] = after
            else:
                self._wait_until(self._writes.status_at(status, gap_s=gap_s))
        for uid in documents.keys() - {status.stamp.uid for status in statuses}:
            del documents[uid]
            self._pace.forget(uid)

    async def _write_events(self) -> None:
        problems = await self._hub.in_turn(self._hub.problems)
        due = {event.name: event for event in events(self._hub.mesh, problems)}
        for name in self._told.keys() - due.keys():
            self._pace.forget(name)
        self._told = {name: self._told.get(name, False) for name in due}
        turns = EVENTS_AT_ONCE
        for name, event in due.items():
            if self._told[name]:
                continue
            if turns and self._may(self._writes.event_at(event)):
                turns -= 1
                self._told[name] = await self._writes.event(event)
            if not self._told[name]:
                self._wait_until(self._writes.event_at(event))

    def _may(self, at: float) -> bool:
        """True if something may be written now, and by us."""
        return self._lease.held and self._clock() >= at

    def _wait_until(self, at: float) -> None:
        """Look again then; what only had no turn is news."""
        self._again_at = min(self._again_at, at)
        if self._clock() >= at:
            self._status_debounce.touch()
