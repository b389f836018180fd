"""Writes: a status or an Event, each by one request, and whom a refusal concerns."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from towpath.answers.status import PolicyStatus
from towpath.kubeapi.client import KubeApi, KubeApiError, NoRightError, needing
from towpath.kubeapi.lease import DURATION_S, RENEW_WITHIN_S, micro_time
from towpath.kubeapi.paths import COLLECTIONS, EVENTS
from towpath.model.names import Kind, ObjectRef
from towpath.status.conditions import StatusDocument, apply_document
from towpath.status.events import Event
from towpath.status.pace import Pace
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

MANAGER = "towpath"
WITHIN_S = DURATION_S - RENEW_WITHIN_S
"""A request that was begun while the lease was held has ended before another may hold it."""
_MALFORMED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
"""This document will never be taken, so it is not tried again."""
_OF_ONE = (HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT, HTTPStatus.INTERNAL_SERVER_ERROR)
"""An admission denies it or breaks at it, or it was just made anew: the others may fare better."""


@dataclass(frozen=True, slots=True)
class _Target:
    """What is written: its key, the group that fails with it, and the right that it needs."""

    ref: ObjectRef
    what: str
    key: str
    group: str
    grant: str


class Writes:
    """*pace* is told what was written and what has to wait; *now* is the time people read."""

    def __init__(
        self,
        api: KubeApi,
        *,
        pace: Pace,
        identity: str,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._pace = pace
        self._identity = identity
        self._metrics = metrics
        self._now = now

    def status_at(self, status: PolicyStatus, *, gap_s: float) -> float:
        """From when (by the clock of *pace*) this status may be written."""
        target = _of_status(status)
        return max(self._pace.at(target.group), self._pace.at(target.key, gap_s=gap_s))

    def event_at(self, event: Event) -> float:
        """From when (by the clock of *pace*) this Event may be written."""
        target = _of_event(event)
        return max(self._pace.at(target.group), self._pace.at(target.key))

    async def status(self, status: PolicyStatus, document: StatusDocument) -> bool:
        """Apply it; true if nothing more is to be done about it."""
        collection = COLLECTIONS[Kind(status.ref.kind)]
        path = f"{collection.path(status.ref.namespace, status.ref.name)}/status"
        body = apply_document(status, document)
        request = self._api.apply(path, body, manager=MANAGER, timeout_s=WITHIN_S)
        return await self._done(_of_status(status), request)

    async def event(self, event: Event) -> bool:
        """Create it; true if nothing more is to be done about it."""
        document = event.document(now=micro_time(self._now()), instance=self._identity)
        request = self._api.write("POST", event.path, document, timeout_s=WITHIN_S)
        return await self._done(_of_event(event), request)

    async def _done(self, target: _Target, request: Awaitable[bytes]) -> bool:
        try:
            await needing(request, target.grant)
        except KubeApiError as error:
            if target.group == EVENTS.full_name and error.conflict:
                self._count(target, "already_there")  # and says the same, as it has the same name
                return True
            self._count(target, "failed")
            return self._refused(target, error)
        self._count(target, "written")
        self._pace.written(target.key)
        self._pace.written(target.group)
        return True

    def _refused(self, target: _Target, error: KubeApiError) -> bool:
        """Let it wait, or all that will fail like it; true if trying again is vain."""
        text = f"{target.what} of {target.ref} cannot be written: {error}"
        if error.not_found and f'"{target.ref.name}"' in str(error):
            return True  # it has just been deleted
        if error.status in _MALFORMED:
            log.warning("%s", text)
            return True
        if error.status in _OF_ONE and not isinstance(error, NoRightError):
            if self._pace.failed(target.key, error.status):
                log.warning("%s; it is tried again", text)
            return False
        if error.not_found:
            text += "; are the CustomResourceDefinitions those of this version?"
        if self._pace.failed(target.group, error.status, at_least_s=error.retry_after_s):
            log.warning("%s", text)
        return False

    def _count(self, target: _Target, result: str) -> None:
        kind = "Event" if target.group == EVENTS.full_name else target.ref.kind
        self._metrics.status_writes.labels(kind, result).inc()


def _of_status(status: PolicyStatus) -> _Target:
    collection = COLLECTIONS[Kind(status.ref.kind)]
    grant = collection.grant("patch", subresource="status")
    return _Target(status.ref, "status", status.stamp.uid, collection.full_name, grant)


def _of_event(event: Event) -> _Target:
    grant = EVENTS.grant("create")
    return _Target(event.ref, "an Event", event.name, EVENTS.full_name, grant)
