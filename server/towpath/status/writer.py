"""StatusWriter: of all replicas one writes what has become of each policy; the others report to it.

Written is only what has changed, a bounded number of objects at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec

from towpath.hub.hub import Hub
from towpath.hub.settle import Settle
from towpath.hub.status import PolicyStatus
from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.kubeapi.lease import Lease, micro_time
from towpath.kubeapi.paths import COLLECTIONS, EVENTS
from towpath.model.names import Kind
from towpath.status.conditions import Document, apply_document, status_document, verdicts
from towpath.status.events import Event, events
from towpath.status.reports import Reports
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

MANAGER = "towpath"
TICK_S = 2.0
"""How often is looked at what others may have changed: the lease, and their reports."""
LONGEST_PAUSE_S = 30.0
STATUSES_AT_ONCE = 50
EVENTS_AT_ONCE = 10
_WRITTEN = (Kind.EGRESS, Kind.UPSTREAM_TRAFFIC_SETTING)
_PAGE = "500"
_FORBIDDEN, _CONFLICT = 403, 409
_USELESS = (400, 404, 422)
"""The object is gone, or its CustomResourceDefinition has no such status: asking again is vain."""


class _Metadata(msgspec.Struct, frozen=True):
    uid: str = ""
    rest: str | None = msgspec.field(default=None, name="continue")


class _Item(msgspec.Struct, frozen=True):
    metadata: _Metadata
    status: dict[str, object] | None = None


class _Items(msgspec.Struct, frozen=True):
    metadata: _Metadata
    items: list[_Item] | None = None


class StatusWriter:
    """*news* says when a count or a policy may have changed; *now* is the time people read."""

    def __init__(
        self,
        hub: Hub,
        api: KubeApi,
        *,
        lease: Lease,
        reports: Reports,
        news: Settle,
        identity: str,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self._hub = hub
        self._api = api
        self._lease = lease
        self._reports = reports
        self._news = news
        self._identity = identity
        self._metrics = metrics
        self._now = now
        self._held: dict[str, Document] | None = None  # by uid; None until it is read
        self._told: set[str] = set()
        self._said = ""

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
        pause, leading = TICK_S, False
        while True:
            told = await self._told_within(pause)
            if not self._hub.ready:
                continue
            changed = leading is not self._lease.held
            leading = self._lease.held
            self._metrics.status_writer.set(leading)
            try:
                if leading:
                    await self._lead(news=told or changed, begins=changed)
                else:
                    self._held = None
                    await self._reports.tell(self._hub.policies())
            except KubeApiError as error:
                self._tell(f"status cannot be written: {error}")
                self._news.touch()  # what was left undone
                pause = min(2 * pause, LONGEST_PAUSE_S)
                await asyncio.sleep(pause)
            else:
                self._said, pause = "", TICK_S

    async def _told_within(self, seconds: float) -> bool:
        """Wait for news, but not longer; true if there are some."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.settled()
        except TimeoutError:
            return False
        return True

    async def _lead(self, *, news: bool, begins: bool) -> None:
        if begins:
            await self._reports.withdraw()
        heard = await self._reports.listen()
        if self._held is None:
            self._held = await self._read()
        elif not (news or heard):
            return
        await self._write_statuses(self._held, self._hub.policies())
        await self._write_events()

    async def _read(self) -> dict[str, Document]:
        """The status that every policy has now, so that only what differs is written."""
        held: dict[str, Document] = {}
        for kind in _WRITTEN:
            query, rest = {"limit": _PAGE}, ""
            while True:
                page = {**query, "continue": rest} if rest else query
                answer = await self._api.get(COLLECTIONS[kind].path(), page)
                found = msgspec.json.decode(answer, type=_Items)
                held |= {item.metadata.uid: item.status or {} for item in found.items or ()}
                rest = found.metadata.rest or ""
                if not rest:
                    break
        return held

    async def _write_statuses(
        self, held: dict[str, Document], statuses: tuple[PolicyStatus, ...]
    ) -> None:
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        due: list[tuple[bool, PolicyStatus, Document]] = []
        for status in statuses:
            if not status.stamp.uid:
                continue
            before = held.get(status.stamp.uid, {})
            counts, unheard = self._reports.total(status)
            after = status_document(status, counts, unheard=unheard, held=before, now=now)
            if after != before:
                due.append((verdicts(after) == verdicts(before), status, after))
        due.sort(key=lambda one: one[0])
        for _, status, after in due[:STATUSES_AT_ONCE]:
            await self._write_status(held, status, after)
        if len(due) > STATUSES_AT_ONCE:
            self._news.touch()
        gone = held.keys() - {status.stamp.uid for status in statuses}
        for uid in gone:
            del held[uid]

    async def _write_status(
        self, held: dict[str, Document], status: PolicyStatus, document: Document
    ) -> None:
        ref = status.ref
        collection = COLLECTIONS[Kind(ref.kind)]
        path = f"{collection.path(ref.namespace, ref.name)}/status"
        grant = collection.grant("patch", subresource="status")
        written = self._api.apply(path, apply_document(status, document), manager=MANAGER)
        if await self._done(written, f"{ref} status", grant):
            held[status.stamp.uid] = document

    async def _write_events(self) -> None:
        due = {event.name: event for event in events(self._hub.mesh, self._hub.problems())}
        self._told &= due.keys()
        new = [event for name, event in due.items() if name not in self._told]
        for event in new[:EVENTS_AT_ONCE]:
            await self._write_event(event)
        if len(new) > EVENTS_AT_ONCE:
            self._news.touch()

    async def _write_event(self, event: Event) -> None:
        document = event.document(now=micro_time(self._now()), instance=self._identity)
        written = self._api.write("POST", event.path, document)
        await self._done(written, f"Event of {event.ref}", EVENTS.grant("create"))
        self._told.add(event.name)  # one that is there already says the same

    async def _done(self, written: Awaitable[bytes], what: str, grant: str) -> bool:
        """True if nothing more is to be done about it; KubeApiError if all should wait."""
        kind = what.partition(" ")[0]
        try:
            await written
        except KubeApiError as error:
            self._metrics.status_writes.labels(kind, "failed").inc()
            if error.status == _FORBIDDEN:
                text = f"{what}: {error} (grant by RBAC: {grant})"
                raise KubeApiError(error.status, text) from error
            if error.status == _CONFLICT:
                return False
            if error.status not in _USELESS:
                raise
            log.warning("%s cannot be written: %s", what, error)
        else:
            self._metrics.status_writes.labels(kind, "written").inc()
        return True

    def _tell(self, text: str) -> None:
        """Log what is new."""
        if text != self._said:
            self._said = text
            log.warning("%s", text)
