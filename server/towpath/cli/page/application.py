"""The addresses of the page: each view as HTML, the same again and again as events, and files."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from urllib.parse import parse_qsl

from aiohttp import web

from towpath.cli.page.control_plane import ControlPlane, QuestionError
from towpath.cli.page.guard import add_headers, guard
from towpath.cli.page.health import health, overview
from towpath.cli.page.picture import picture
from towpath.cli.page.policies import policies, policy, problems
from towpath.cli.page.questions import explain
from towpath.cli.page.rendering import Renderer
from towpath.cli.page.sidecars import sidecar, sidecars
from towpath.cli.page.traffic import audit, inside, suggest, traffic
from towpath.cli.page.view import Query, View

log = logging.getLogger(__name__)

MakeView = Callable[[ControlPlane, Query], Awaitable[View]]

VIEWS: Mapping[str, MakeView] = {
    "": overview,
    "sidecars": sidecars,
    "sidecar": sidecar,
    "policies": policies,
    "policy": policy,
    "problems": problems,
    "explain": explain,
    "traffic": traffic,
    "inside": inside,
    "audit": audit,
    "suggest": suggest,
    "map": picture,
}
"""By the address below the root."""

TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
}

AGAIN_S = 2.0
"""How often who looks on is shown what is new."""

QUIET_S = 15.0
"""After so long without news a browser hears that the connection is alive."""


class Page:
    """The page of one control plane, below a path that only those know who are shown it."""

    def __init__(
        self, control_plane: ControlPlane, *, token: str, again_s: float = AGAIN_S
    ) -> None:
        self._control_plane = control_plane
        self._token = token
        self._again_s = again_s
        self._renderer = Renderer(f"/{token}/", now=control_plane.now)
        self._files = dict(_files())
        self._following: set[asyncio.Task[None]] = set()

    @property
    def path(self) -> str:
        """Where it begins."""
        return f"/{self._token}/"

    def application(self) -> web.Application:
        app = web.Application(middlewares=[guard(self._token)])
        app.on_response_prepare.append(add_headers)
        app.on_shutdown.append(self._end_events)
        app.router.add_get("/{token}/", self._view)
        app.router.add_get("/{token}/events", self._events)
        app.router.add_get("/{token}/static/{name}", self._file)
        app.router.add_get("/{token}/{view}", self._view)
        return app

    async def _view(self, request: web.Request) -> web.Response:
        name = request.match_info.get("view", "")
        if name not in VIEWS:
            raise web.HTTPNotFound(text="there is no such page\n")
        try:
            view, state = await asyncio.gather(
                VIEWS[name](self._control_plane, request.query), health(self._control_plane)
            )
        except QuestionError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        html = self._renderer.html(view, state, name)
        return web.Response(text=html, content_type="text/html")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """The page that `at` names, whenever it differs: a browser takes its parts."""
        # Not by urlsplit, which raises for what it takes for a host.
        name, _, text = request.query.get("at", "").partition("?")
        if name not in VIEWS:
            raise web.HTTPNotFound(text="there is no such page\n")
        query = dict(parse_qsl(text))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        task = asyncio.create_task(self._follow(name, query, response))
        self._following.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._following.discard(task)
            task.cancel()
        with contextlib.suppress(ConnectionResetError):
            if not task.cancelled():
                task.result()
        return response

    async def _end_events(self, _: web.Application) -> None:
        for task in self._following:
            task.cancel()

    async def _follow(self, name: str, query: Query, response: web.StreamResponse) -> None:
        before, quiet_s = b"", 0.0
        await response.write(b"retry: 1000\n\n")
        while True:
            view, state = await asyncio.gather(
                VIEWS[name](self._control_plane, query), health(self._control_plane)
            )
            html = self._renderer.html(view, state, name)
            digest = hashlib.blake2b(html.encode()).digest()
            if digest != before:
                lines = "".join(f"data: {line}\n" for line in html.splitlines())
                await response.write(f"event: page\n{lines}\n".encode())
                before, quiet_s = digest, 0.0
            elif quiet_s >= QUIET_S:
                await response.write(b": alive\n\n")
                quiet_s = 0.0
            await asyncio.sleep(self._again_s)
            quiet_s += self._again_s

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound(text="there is no such file\n")
        body, content_type = self._files[name]
        return web.Response(
            body=body, content_type=content_type, headers={"Cache-Control": "private, max-age=3600"}
        )


def _files() -> list[tuple[str, tuple[bytes, str]]]:
    """The files that browsers fetch, by name."""
    folder = files("towpath.cli.page") / "static"
    return [
        (file.name, (file.read_bytes(), TYPES[suffix]))
        for file in folder.iterdir()
        if (suffix := f".{file.name.rpartition('.')[2]}") in TYPES
    ]
