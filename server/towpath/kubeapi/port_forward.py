"""Port-forward: a port of a pod, reached through the API server, as a unix socket of this machine.

The protocol is `v4.channel.k8s.io`: one WebSocket for each connection, whose messages begin with
the number of a channel, 0 for data and 1 for what is wrong. The first message of each channel is
the port. Every version of Kubernetes has it, and so has every kubelet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import aiohttp

from towpath.kubeapi.client import KubeApi, KubeApiError, NoRightError
from towpath.kubeapi.paths import COLLECTIONS
from towpath.model.names import Kind

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
PORT_BYTES = 2
CHUNK = 32 * 1024
"""Bytes of one message."""


class PortForward:
    """The port of one pod; `trouble` is why the last connection to it failed, "" if it did not."""

    def __init__(self, api: KubeApi, namespace: str, pod: str, port: int) -> None:
        self.trouble = ""
        self._api = api
        self._pod = f"Pod {namespace}/{pod}"
        self._path = f"{COLLECTIONS[Kind.POD].path(namespace, pod)}/portforward"
        self._port = port
        self._connections = set[asyncio.Task[None]]()

    @contextlib.asynccontextmanager
    async def listening(self, socket: Path) -> AsyncIterator[None]:
        """Forward each connection to that unix socket until the end, and end those that are left.

        Whoever may enter its folder may connect: make one for this user alone.
        """
        server = await asyncio.start_unix_server(self._accept, socket)
        try:
            yield
        finally:
            server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._connection(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._api.websocket(
                self._path, {"ports": str(self._port)}, protocol=PROTOCOL
            ) as tunnel:
                await self._carry(tunnel, reader, writer)
        except KubeApiError as error:
            self.trouble = await self._in_words(error)
        except (aiohttp.ClientError, OSError) as error:
            self.trouble = self._broken(str(error))
        finally:
            writer.close()

    async def _carry(
        self,
        tunnel: aiohttp.ClientWebSocketResponse,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Both ways, until one of them ends."""
        inward = asyncio.ensure_future(self._inward(tunnel, writer))
        outward = asyncio.ensure_future(_outward(reader, tunnel))
        try:
            await asyncio.wait((inward, outward), return_when=asyncio.FIRST_COMPLETED)
            if not inward.done() and outward.exception() is not None:
                # It is closed at the other end, which may have said why.
                await inward
            elif inward.done():
                inward.result()
                self.trouble = self.trouble or self._broken("it was closed at the other end")
        finally:
            for one in (inward, outward):
                one.cancel()
            await asyncio.gather(inward, outward, return_exceptions=True)

    async def _inward(
        self, tunnel: aiohttp.ClientWebSocketResponse, writer: asyncio.StreamWriter
    ) -> None:
        to_skip = {DATA: PORT_BYTES, ERROR: PORT_BYTES}
        async for message in tunnel:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            skipped = min(to_skip.get(channel, 0), len(data))
            to_skip[channel] = to_skip.get(channel, 0) - skipped
            data = data[skipped:]
            if channel == DATA and data:
                self.trouble = ""
                writer.write(data)
                await writer.drain()
            elif channel == ERROR and data:
                text = data.decode(errors="replace").strip()
                self.trouble = (
                    f"the port-forward to {self._pod} failed: {text}: see that the pod runs, and "
                    "ask again"
                )

    def _broken(self, why: str) -> str:
        return (
            f"the port-forward to {self._pod} broke off: {why}: ask again; if it goes on, see "
            "that the pod runs and what its log says"
        )

    async def _in_words(self, error: KubeApiError) -> str:
        """Why the API server refused; a WebSocket is refused by a number alone."""
        if error.status == HTTPStatus.FORBIDDEN:
            return str(await self._missing_right())
        if error.not_found:
            return f"{self._pod} is gone: ask again"
        if error.unanswered:
            return str(error)
        return (
            f"the API server refuses a port-forward to {self._pod} (HTTP status {error.status}): "
            "it may not reach the kubelet of the pod's node"
        )

    async def _missing_right(self) -> NoRightError:
        grant = COLLECTIONS[Kind.POD].grant("get", "create", subresource="portforward")
        text = "you may not forward ports"
        try:
            await self._api.get(self._path, {"ports": str(self._port)})
        except NoRightError as error:
            text = str(error)
        except KubeApiError:
            pass  # the right to `get` is there: it is the other one
        return NoRightError(HTTPStatus.FORBIDDEN, f"{text} (grant by RBAC: {grant})")


async def _outward(reader: asyncio.StreamReader, tunnel: aiohttp.ClientWebSocketResponse) -> None:
    while data := await reader.read(CHUNK):
        await tunnel.send_bytes(bytes((DATA,)) + data)
