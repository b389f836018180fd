"""Reflector: one kind on an API server, listed and then watched, for ever.

How it may fail is written in the API's own terms:
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Protocol

import msgspec

from towpath.backoff import Backoff
from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.model.names import ObjectRef
from towpath.sources.decode import Decoded, decode_json
from towpath.sources.kube import wire
from towpath.sources.kube.kinds import ApiResource
from towpath.sources.kube.outage import Outage
from towpath.sources.kube.timing import Timing
from towpath.telemetry.once import LogOnce

log = logging.getLogger(__name__)

PAGE = 500
_UNAVAILABLE = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
"""A server that answers so, or with a status of 500 and above, says nothing about the kind."""
_NO_STREAMED_LIST = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


class Sink(Protocol):
    """Where a reflector puts what it sees."""

    def replaced(self, resource: ApiResource, objects: Iterable[Decoded]) -> None:
        """All objects of the kind."""

    def changed(self, resource: ApiResource, record: Decoded) -> None: ...
    def deleted(self, resource: ApiResource, ref: ObjectRef) -> None: ...
    def absent(self, resource: ApiResource) -> bool:
        """The kind is not installed; true if that is no trouble, as it never was."""

    def refused(self, resource: ApiResource, why: str) -> None:
        """The server answers, but not with this kind's objects."""

    def working(self, resource: ApiResource) -> None: ...


class Reflector:
    """Keeps a sink equal to one kind. *clock*: seconds, monotonic; *dice* spreads the pauses."""

    def __init__(
        self,
        api: KubeApi,
        resource: ApiResource,
        sink: Sink,
        outage: Outage,
        *,
        clock: Callable[[], float],
        dice: random.Random,
        timing: Timing,
    ) -> None:
        self._api = api
        self._resource = resource
        self._sink = sink
        self._outage = outage
        self._clock = clock
        self._dice = dice
        self._timing = timing
        self._backoff = Backoff(
            first_s=timing.first_pause_s, longest_s=timing.longest_pause_s, dice=dice
        )
        self._version = ""  # where a watch may go on; "" is nowhere
        self._opened_at: float | None = None  # since when the watch of this attempt is open
        self._forbidden_at: float | None = None  # since when it is refused
        self._failure = LogOnce(log)
        self._hurried = False

    async def run(self) -> None:
        """List and watch until cancelled; every failure is told and tried again."""
        try:
            await self._run()
        except Exception:
            # Whoever starts it again starts with a list: where it was it has failed.
            self._version = ""
            self._outage.failing(self._resource.kind)
            raise

    async def _run(self) -> None:
        while True:
            self._opened_at = None
            failure: KubeApiError | None = None
            try:
                await self._attempt()
            except KubeApiError as error:
                failure = error
            except msgspec.MsgspecError as error:
                self._version = ""  # it would only send the same again
                failure = KubeApiError(0, f"the answer cannot be read: {error}")
                if self._opened_at is not None:
                    self._failure.tell(f"{self._resource.kind} cannot be followed: {failure}")
            # Having opened is not yet having worked: a watch that always ends at once must
            # not be asked for in a tight loop.
            steady = self._opened_at is not None and (
                self._clock() - self._opened_at >= self._timing.steady_s
            )
            if steady:
                self._backoff.reset()
                self._hurried = False
                self._failure.over()
            if failure is not None:
                self._judge(failure)
            if failure is not None or not steady:
                await self._pause(failure)

    async def _attempt(self) -> None:
        """Everything from where we are, until the server ends it."""
        if self._version:
            await self._watch({"resourceVersion": self._version}, gathered=None)
        elif not await self._stream_all():
            await self._list_all()
            await self._watch({"resourceVersion": self._version}, gathered=None)

    async def _stream_all(self) -> bool:
        """One watch that begins with all objects; False if the server cannot do that."""
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        try:
            await self._watch(query, gathered={})
        except KubeApiError as error:
            # An older server refuses it; one whose storage cannot do it says so in the stream.
            cannot = error.status in _NO_STREAMED_LIST or self._opened_at is not None
            if self._version or not cannot or error.unanswered or error.gone:
                raise
            self._opened_at = None
            return False
        if not self._version:
            raise KubeApiError(0, f"the list of {self._resource.collection.full_name} ended early")
        return True

    async def _list_all(self) -> None:
        """All objects page by page; in one piece if it took so long that the pages expired."""
        try:
            await self._list({**self._resource.selection, "limit": str(PAGE)})
        except KubeApiError as error:
            if not error.gone:
                raise
            await self._list(dict(self._resource.selection))

    async def _list(self, query: dict[str, str]) -> None:
        records: list[Decoded] = []
        rest: str | None = None
        while True:
            more = {"continue": rest} if rest else {}
            page = wire.page(await self._api.get(self._resource.path, {**query, **more}))
            self._outage.answered(self._resource.kind)
            records += [decode_json(self._resource.kind, item) for item in page.items or ()]
            rest = page.metadata.rest
            if not rest:
                break
            await asyncio.sleep(0)  # streams have their turn between two pages
        self._replace(records, page.metadata.version)

    async def _watch(
        self, query: dict[str, str], *, gathered: dict[ObjectRef, Decoded] | None
    ) -> None:
        """Follow one watch to its end. *gathered*: it begins with a list, which is kept here."""
        seconds = str(self._dice.randint(*self._timing.watch_s))
        options = {"allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        whole = {**self._resource.selection, **options, **query}
        path, kind = self._resource.path, self._resource.kind
        async with self._api.watch(path, whole, idle_s=self._timing.idle_s) as lines:
            self._opened_at = self._clock()
            self._forbidden_at = None
            self._outage.answered(kind)
            if gathered is None:
                self._sink.working(self._resource)
            async for line in lines:
                event = wire.event(line)
                if event.type == "ERROR":
                    status = wire.status(event.object)
                    raise KubeApiError(
                        status.code or 0, status.message or "an error without a message"
                    )
                if event.type == "BOOKMARK":
                    mark = wire.mark(event.object)
                    if gathered is None:
                        self._version = mark.metadata.version
                    elif mark.ends_the_list:
                        self._replace(gathered.values(), mark.metadata.version)
                        gathered = None
                elif event.type in ("ADDED", "MODIFIED", "DELETED"):
                    self._take(event.type, decode_json(kind, event.object), gathered)

    def _take(self, what: str, record: Decoded, gathered: dict[ObjectRef, Decoded] | None) -> None:
        if not record.version:
            raise msgspec.ValidationError(f"{record.ref} has no resourceVersion")
        if gathered is not None:
            gathered.pop(record.ref, None)
            if what != "DELETED":
                gathered[record.ref] = record
            return
        if what == "DELETED":
            self._sink.deleted(self._resource, record.ref)
        else:
            self._sink.changed(self._resource, record)
        self._version = record.version

    def _replace(self, objects: Iterable[Decoded], version: str) -> None:
        if not version:
            raise msgspec.ValidationError("a list without resourceVersion")
        self._sink.replaced(self._resource, objects)
        self._version = version
        self._sink.working(self._resource)

    def _judge(self, error: KubeApiError) -> None:
        """What a failure means for the kind; the pause that follows is the same for all."""
        kind, status = self._resource.kind, error.status
        if error.unanswered or status in _UNAVAILABLE or status >= 500:
            if self._opened_at is None:
                self._outage.away(kind, f"{kind} cannot be read: {error}")
            else:
                # A watch that breaks off is no outage before the next attempt fails as well.
                self._outage.failing(kind)
            return
        if error.forbidden and self._lenient():
            self._outage.failing(kind)
            return
        self._outage.answered(kind)
        self._version = ""
        if error.gone:
            self._outage.failing(kind)
        elif error.not_found and self._resource.custom:
            if not self._sink.absent(self._resource):
                self._outage.failing(kind)
                name = self._resource.collection.full_name
                self._failure.tell(f"{name} is gone; what was last seen is served")
        else:
            self._outage.failing(kind)
            why = self._explain(error)
            self._sink.refused(self._resource, why)
            self._failure.tell(f"{kind} cannot be watched: {why}")

    def _lenient(self) -> bool:
        """True while a refusal may be that of a server that starts: it has no rights loaded yet.

        A kind that was followed a moment ago is asked for again where it was.
        """
        if self._forbidden_at is None:
            self._forbidden_at = self._clock()
        return bool(self._version) and (self._clock() - self._forbidden_at < self._timing.lenient_s)

    async def _pause(self, failure: KubeApiError | None) -> None:
        """Longer with each failure in a row; cut short, once, when the server is back."""
        asked_s = self._timing.asked_s(failure.retry_after_s) if failure is not None else 0.0
        seconds = asked_s + self._backoff.next()
        hurry = failure is not None and failure.unanswered and not self._hurried
        if await self._outage.rest(seconds, until_it_answers=hurry):
            self._hurried = True

    def _explain(self, error: KubeApiError) -> str:
        if not error.forbidden:
            return str(error)
        resource = self._resource
        within = f" in namespace {resource.namespace}" if resource.namespace else ""
        return f"{error} (grant by RBAC{within}: {resource.collection.grant('list', 'watch')})"
