"""The page of a control plane in this process, and what a browser without scripts sees of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html.parser import HTMLParser

import aiohttp

from support.ports import free_ports
from towpath.admin.http_port import PortName, http_port
from towpath.cli.page.application import Page
from towpath.cli.page.control_plane import ControlPlane
from towpath.cli.replicas import replicas_of
from towpath.cli.server import Server
from towpath.telemetry.metrics import Metrics

TOKEN = "a-token-of-the-test"
AGAIN_S = 0.1


@dataclass(frozen=True)
class Dashboard:
    """Where the page is; `get` asks for a part of it."""

    port: int
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{TOKEN}/"

    async def get(self, path: str = "", **query: str) -> str:
        """The HTML at that address below the root."""
        async with self.session.get(self.url + path, params=query) as response:
            assert response.status == 200, await response.text()
            return await response.text()

    async def text(self, path: str = "", **query: str) -> str:
        """What a person reads there, in one line."""
        return text_of(await self.get(path, **query))


@contextlib.asynccontextmanager
async def dashboard(address: str) -> AsyncIterator[Dashboard]:
    """The page of the server at that address."""
    with replicas_of(Server(address, None)) as replicas:
        control_plane = ControlPlane(replicas)
        page = Page(control_plane, token=TOKEN, again_s=AGAIN_S)
        (port,) = free_ports(1)
        name = PortName("dashboard", "--port")
        try:
            async with (
                http_port(page.application(), f"127.0.0.1:{port}", metrics=Metrics(), name=name),
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session,
            ):
                yield Dashboard(port, session)
        finally:
            control_plane.close()


def text_of(html: str) -> str:
    """The text of the body, with single spaces."""
    reader = _Text()
    reader.feed(html)
    return " ".join(" ".join(reader.texts).split())


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
