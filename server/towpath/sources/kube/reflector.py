"""Reflector: one kind on an API server, listed and then watched, for ever.

How it may fail is written in the API's own terms:
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from towpath.kubeapi import KubeApi, KubeApiError
from towpath.sources.kube.kinds import Resource

log = logging.getLogger(__name__)

PAGE = "500"
WATCH_S = (290, 590)
"""The server ends a watch after a time in between; it differs, so that not all end at once."""
IDLE_S = 90.0
"""Bookmarks come about once a minute: a watch without a byte for so long is dead."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
_INITIAL_END = "k8s.io/initial-events-end"
_GONE = 410
_NOT_INSTALLED = 404
_BUSY = 429
_UNAUTHORIZED = 401

Raw = dict[str, Any]


class Sink(Protocol):
    """Where a reflector puts what it sees; objects are raw, as decoded JSON."""

    def replaced(self, resource: Resource, objects: Iterable[Raw]) -> None:
        """All objects of the kind."""

    def changed(self, resource: Resource, raw: Raw) -> None: ...
    def deleted(self, resource: Resource, raw: Raw) -> None: ...
    def absent(self, resource: Resource) -> None:
        """The kind is not installed."""

    def failing(self, resource: Resource, why: str, *, alone: bool) -> None:
        """The kind cannot be watched; *alone* if that says nothing of the other kinds."""

    def working(self, resource: Resource) -> None: ...


class _GoneError(Exception):
    """The server has forgotten the version that we held: list again."""


class Reflector:
    """Keeps a sink equal to one kind. *dice* spreads the pauses of many reflectors."""

    def __init__(
        self,
        api: KubeApi,
        resource: Resource,
        sink: Sink,
        *,
        dice: random.Random,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._resource = resource
        self._sink = sink
        self._dice = dice
        self._sleep = sleep
        self._version = ""  # where a watch may go on; "" is nowhere
        self._watch_list = True
        self._failures = 0

    async def run(self) -> None:
        """List and watch until cancelled; every failure is told to the sink and tried again."""
        while True:
            try:
                if not self._version:
                    await self._begin()
                if not await self._follow():
                    await self._pause()  # a watch that ends at once must not make us spin
            except _GoneError:
                self._version = ""
                await self._pause()
            except KubeApiError as error:
                if error.status == _NOT_INSTALLED:
                    self._version = ""
                    self._sink.absent(self._resource)
                else:
                    alone = 400 <= error.status < 500 and error.status != _BUSY
                    self._sink.failing(self._resource, self._explain(error), alone=alone)
                if error.status == _GONE:
                    self._version = ""
                await self._pause()
            except (OSError, TimeoutError, msgspec.MsgspecError) as error:
                why = str(error) or type(error).__name__
                self._sink.failing(self._resource, why, alone=False)
                await self._pause()

    async def _begin(self) -> None:
        """The first picture: streamed where the server can do that, else in pages."""
        if self._watch_list:
            try:
                await self._stream_all()
            except KubeApiError as error:
                if error.status in (0, _UNAUTHORIZED, _NOT_INSTALLED):
                    raise
                # An older server, or one whose storage cannot do it: each says so differently.
                self._watch_list = False
            else:
                return
        await self._list_all()

    async def _list_all(self) -> None:
        objects: list[Raw] = []
        query = {**self._resource.selection, "limit": PAGE}
        while True:
            page = msgspec.json.decode(await self._api.get(self._resource.path, query))
            head = {"apiVersion": self._resource.api_version, "kind": self._resource.kind.value}
            objects += ({**head, **item} for item in page.get("items") or ())
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        self._replace(objects, metadata["resourceVersion"])

    async def _stream_all(self) -> None:
        objects: dict[str, Raw] = {}
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        async with contextlib.aclosing(self._events(query)) as events:
            async for kind, raw in events:
                metadata = raw["metadata"]
                if kind == "BOOKMARK":
                    if (metadata.get("annotations") or {}).get(_INITIAL_END) == "true":
                        self._replace(objects.values(), metadata["resourceVersion"])
                        return
                elif kind == "DELETED":
                    objects.pop(metadata["uid"], None)
                else:
                    objects[metadata["uid"]] = raw
        raise TimeoutError("the watch ended before the first picture was whole")

    async def _follow(self) -> bool:
        """Watch from where we are until the server ends it; False if nothing came."""
        query = {"resourceVersion": self._version}
        heard = False
        async with contextlib.aclosing(self._events(query)) as events:
            async for kind, raw in events:
                heard, self._failures = True, 0
                if kind in ("ADDED", "MODIFIED"):
                    self._sink.changed(self._resource, raw)
                elif kind == "DELETED":
                    self._sink.deleted(self._resource, raw)
                self._version = raw["metadata"]["resourceVersion"]
        return heard

    async def _events(self, query: dict[str, str]) -> Any:
        seconds = str(self._dice.randint(*WATCH_S))
        asked = {"allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        whole = {**self._resource.selection, **asked, **query}
        async with self._api.watch(self._resource.path, whole, idle_s=IDLE_S) as lines:
            self._sink.working(self._resource)
            async for line in lines:
                event = msgspec.json.decode(line)
                if event["type"] == "ERROR":
                    said = event["object"]
                    if said.get("code") == _GONE:
                        raise _GoneError
                    raise KubeApiError(int(said.get("code") or 0), str(said.get("message")))
                yield event["type"], event["object"]

    def _replace(self, objects: Iterable[Raw], version: str) -> None:
        self._sink.replaced(self._resource, objects)
        self._version = version
        self._failures = 0
        self._sink.working(self._resource)

    async def _pause(self) -> None:
        """Longer with each failure, and never the same for all."""
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        await self._sleep(longest * (0.5 + self._dice.random() / 2))

    def _explain(self, error: KubeApiError) -> str:
        if error.status != 403:
            return str(error)
        group, slash, _ = self._resource.api_version.rpartition("/")
        wanted = f'verbs: [list, watch], resources: ["{self._resource.plural}"]'
        return f'{error} (grant it by RBAC: apiGroups: ["{group if slash else ""}"], {wanted})'
