"""A scripted API server for faults that a real one cannot be made to show.

Without a fault it lists and watches as Kubernetes does: versions, pages, bookmarks, 410.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from towpath.sources.kube.kinds import ApiResource, resources

Raw = dict[str, Any]
Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]

RESOURCES = {one.kind.value: one for one in resources("osm-system")}
BY_PATH = {one.path: one for one in RESOURCES.values()}


class FakeApi:
    """Objects and their history. `faults[kind]` answer the next requests for that kind.

    `standing[kind]` answers every request for it that no fault answered.
    """

    def __init__(self, *, streamed_lists: bool = True) -> None:
        self.streamed_lists = streamed_lists
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.standing: dict[str, Fault] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.seconds: list[float] = []
        self.objects: dict[tuple[str, str, str], Raw] = {}
        self._log: list[tuple[int, str, Raw]] = []
        self._version = 100
        self._oldest = 0
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._answering: set[asyncio.Task[Any]] = set()
        self._port = 0

    def put(self, kind: str, name: str, namespace: str = "", **fields: Any) -> None:
        """Create or change an object."""
        key = (kind, namespace, name)
        what = "MODIFIED" if key in self.objects else "ADDED"
        metadata = {"name": name, "uid": f"{kind}/{namespace}/{name}"}
        metadata |= {"namespace": namespace} if namespace else {}
        metadata |= fields.pop("metadata", {})
        version = RESOURCES[kind].collection.api_version
        obj = {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
        self.objects[key] = self._append(what, obj)

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        self._append("DELETED", self.objects.pop((kind, namespace, name)))

    def forget(self) -> None:
        """Compact: no watch can go on from what was before."""
        self._oldest = self._version

    def asked(self, kind: str) -> list[dict[str, str]]:
        """The queries of all requests for a kind."""
        return [query for path, query in self.requests if path == RESOURCES[kind].path]

    def lists(self, kind: str) -> int:
        return sum("resourceVersion" not in query for query in self.asked(kind))

    async def start(self) -> None:
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        assert site._server is not None
        self._port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        self._runner = runner

    async def stop(self) -> None:
        """Break off every answer, and listen no more."""
        if self._runner is not None:
            for answering in self._answering:
                answering.cancel()
            await self._runner.cleanup()
            self._runner = None
            await asyncio.sleep(0)  # sockets are closed in the next turn of the loop

    def kubeconfig(self, folder: Path) -> Path:
        config = {
            "clusters": [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{self._port}"}}],
            "users": [{"name": "me", "user": {"token": "t"}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
            "current-context": "fake",
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """As a server without a fault would."""
        resource, query = BY_PATH[request.path], request.query
        if query.get("watch") != "true":
            return self._list(resource, query)
        if "sendInitialEvents" in query:
            if not self.streamed_lists:
                return refusal(422, "sendInitialEvents is forbidden")
            start = self._version
            events = [("ADDED", obj) for obj in self._of(resource)]
            mark: Raw = {"metadata": {"annotations": {"k8s.io/initial-events-end": "true"}}}
            mark["metadata"]["resourceVersion"] = str(start)
            return await self._watch(request, start, [*events, ("BOOKMARK", mark)])
        start = int(query["resourceVersion"])
        if start < self._oldest:
            return await error_event(410, "too old resource version")(request)
        return await self._watch(request, start, [])

    def _application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, dict(request.query)))
        self.seconds.append(asyncio.get_running_loop().time())
        kind = BY_PATH[request.path].kind.value
        standing = self.standing.get(kind, self.answer)
        fault = self.faults[kind].popleft() if self.faults[kind] else standing
        answering = asyncio.ensure_future(fault(request))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)
        try:
            return await answering
        finally:
            answering.cancel()

    def _list(self, resource: ApiResource, query: Any) -> web.Response:
        rows = self._of(resource)
        begin, size = int(query.get("continue", "0")), int(query.get("limit", "0"))
        end = begin + size if size else len(rows)
        metadata = {"resourceVersion": str(self._version)}
        if end < len(rows):
            metadata["continue"] = str(end)
        items = [{k: v for k, v in o.items() if k in ("metadata", "spec")} for o in rows]
        return web.json_response({"metadata": metadata, "items": items[begin:end] or None})

    async def _watch(
        self, request: web.Request, start: int, first: list[tuple[str, Raw]]
    ) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        for what, obj in first:
            await stream.write(line(what, obj))
        kind = BY_PATH[request.path].kind.value
        while True:
            for version, what, obj in self._log:
                if version > start and obj["kind"] == kind:
                    await stream.write(line(what, obj))
            start = self._version
            changed = self._changed
            await changed.wait()

    def _of(self, resource: ApiResource) -> list[Raw]:
        return [obj for (kind, _, _), obj in self.objects.items() if kind == resource.kind]

    def _append(self, what: str, obj: Raw) -> Raw:
        self._version += 1
        version = {"resourceVersion": str(self._version)}
        whole = {**obj, "metadata": {**obj["metadata"], **version}}
        self._log.append((self._version, what, whole))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        return whole


@asynccontextmanager
async def fake_api(*, streamed_lists: bool = True) -> AsyncIterator[FakeApi]:
    api = FakeApi(streamed_lists=streamed_lists)
    await api.start()
    try:
        yield api
    finally:
        await api.stop()


def line(what: str, obj: Raw) -> bytes:
    return json.dumps({"type": what, "object": obj}).encode() + b"\n"


def refusal(status: int, message: str = "no", **headers: str) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "message": message, "code": status}
    return web.json_response(body, status=status, headers=headers)


def refuse(status: int, message: str = "no", **headers: str) -> Fault:
    """Answer with an HTTP error."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return refusal(status, message, **headers)

    return answer


def body(text: str, *, status: int = 200) -> Fault:
    """Answer with this text, list or watch alike."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type="application/json")

    return answer


def error_event(code: int, message: str) -> Fault:
    """A watch whose only event is an ERROR."""
    status = {"kind": "Status", "code": code, "message": message}
    return body(line("ERROR", status).decode())


def cut(*pieces: bytes) -> Fault:
    """A chunked answer that the server breaks off after these bytes, without an end."""

    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        stream.enable_chunked_encoding()
        await stream.prepare(request)
        for piece in pieces:
            await stream.write(piece)
        assert request.transport is not None
        request.transport.close()
        return stream

    return answer


def silent(*, opens: bool = True) -> Fault:
    """A watch that opens, or not even that, and never says anything."""

    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        if opens:
            await stream.prepare(request)
        await asyncio.Event().wait()
        return stream

    return answer
