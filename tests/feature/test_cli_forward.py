"""Commands whose port-forward breaks, on an API server that a test plays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import WSCloseCode, web
from click.testing import CliRunner, Result

from towpath.cli import main

POD = {
    "metadata": {"name": "towpath-0", "namespace": "osm-system"},
    "spec": {"containers": [{"ports": [{"name": "local", "containerPort": 15130}]}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}
PORT = (15130).to_bytes(2, "little")
Tunnel = Callable[[web.WebSocketResponse, web.Request], Awaitable[None]]


@asynccontextmanager
async def _api(folder: Path, tunnel: Tunnel) -> AsyncIterator[Path]:
    """The kubeconfig of a cluster with one replica, whose port-forward *tunnel* plays."""

    async def pods(_: web.Request) -> web.Response:
        return web.json_response({"kind": "PodList", "metadata": {}, "items": [POD]})

    async def forward(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        await tunnel(socket, request)
        return socket

    app = web.Application()
    path = "/api/v1/namespaces/osm-system/pods"
    app.add_routes([web.get(path, pods), web.get(f"{path}/towpath-0/portforward", forward)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"http://{host}:{port}"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    try:
        yield kubeconfig
    finally:
        await runner.cleanup()


async def _sidecars(kubeconfig: Path) -> Result:
    command = ["sidecars", "--kubeconfig", str(kubeconfig)]
    return await asyncio.to_thread(lambda: CliRunner().invoke(main, command, color=True))


async def _cut(socket: web.WebSocketResponse, request: web.Request) -> None:
    """End the connection without a word once bytes have come."""
    await socket.receive_bytes()
    assert request.transport is not None
    request.transport.abort()


async def _close(socket: web.WebSocketResponse, _: web.Request) -> None:
    """Close it in good order."""
    await socket.receive_bytes()
    await socket.close(code=WSCloseCode.GOING_AWAY)


async def _refuse(socket: web.WebSocketResponse, _: web.Request) -> None:
    """Say why, as a kubelet does whose pod has nothing at that port."""
    await socket.send_bytes(bytes((0,)) + PORT)
    await socket.send_bytes(bytes((1,)) + PORT)
    await socket.send_bytes(bytes((1,)) + b"connection \x1b[2Jrefused\n")
    await socket.close()


@pytest.mark.parametrize(
    ("tunnel", "why"),
    [
        (_cut, "broke off: "),
        (_close, "broke off: "),
        (_refuse, r"failed: connection \x1b[2Jrefused"),
    ],
)
async def test_a_port_forward_that_breaks_is_said_to_be_and_what_to_do(
    tunnel: Tunnel, why: str, tmp_path: Path
) -> None:
    async with _api(tmp_path, tunnel) as kubeconfig:
        done = await _sidecars(kubeconfig)

    assert (2, "") == (done.exit_code, done.stdout)
    assert f"towpath-0: the port-forward to Pod osm-system/towpath-0 {why}" in done.stderr
    assert "see that the pod runs" in done.stderr
    assert "ask again" in done.stderr
    assert "\x1b" not in done.stderr
