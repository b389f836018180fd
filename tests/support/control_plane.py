"""A control plane in this process, served on a unix socket, from a folder that a test may edit."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import yaml

from support.ports import free_ports
from support.running_hub import Compose, hub_that
from support.serving import DEFAULTS, dialed, plaintext_address, serving
from support.tokens import AUDIENCE, Issuer
from support.xds.stream import RawStream
from towpath.access.keys import KeyRing
from towpath.access.login import TokenLogin
from towpath.access.tls import ServerTls
from towpath.app.ports import Ports
from towpath.clock import utc_now
from towpath.hub.debounce import Debounce
from towpath.hub.hub import Hub
from towpath.rollout.records import StreamRecords
from towpath.settings import MeshSettings, RolloutSettings, StreamLimits
from towpath.sources.files import FilesSource
from towpath.store import Store
from towpath.telemetry.metrics import Metrics
from towpath.xds.service import SERVICE
from towpath_client import TlsFiles

DEMO = Path(__file__).parents[2] / "deploy" / "demo" / "mesh"


@dataclass(frozen=True)
class ControlPlane:
    """What a test may look at; `folder` holds a copy of the demo mesh."""

    address: str
    folder: Path
    hub: Hub
    metrics: Metrics
    local_socket: Path
    tls: ServerTls | None
    token_address: str
    ring: KeyRing
    local_address: str

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: str = "StreamAggregatedResources",
        *,
        service: str = SERVICE,
        tls: TlsFiles | None = None,
        token: str | None = None,
    ) -> AsyncIterator[RawStream]:
        """A stream on which a test says exactly what it wants, bytes included."""
        async with self.channel(tls, by_token=token is not None) as channel:
            yield RawStream(channel, f"/{service}/{method}", metadata=bearer(token))

    def channel(self, tls: TlsFiles | None = None, *, by_token: bool = False) -> grpc.aio.Channel:
        """A connection of its own to the ADS address; *by_token* to that for tokens, for which of
        the files only the authority counts.
        """
        options = (("grpc.use_local_subchannel_pool", 1),)
        if by_token:
            assert tls is not None
            trusting = grpc.ssl_channel_credentials(tls.ca.read_bytes())
            return grpc.aio.secure_channel(self.token_address, trusting, options=options)
        if tls is None:
            return grpc.aio.insecure_channel(self.address, options=options)
        return grpc.aio.secure_channel(self.address, tls.credentials(), options=options)

    def switch_egress(self, *, on: bool) -> None:
        """Change the MeshConfig in the folder, as an editor would."""
        self.edit_mesh_config(egress="true" if on else "false")

    def edit_mesh_config(self, *, egress: str = r"\1", log_level: str = r"\1") -> None:
        """Set one of these or both at once; the log level gives and takes nothing."""
        path = self.folder / "meshconfig.yaml"
        text = re.sub("(?<=enableEgress: )(.*)", egress, path.read_text())
        text = re.sub("(?<=logLevel: )(.*)", log_level, text)
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(path)


@contextlib.asynccontextmanager
async def control_plane(
    tmp_path: Path,
    *,
    follow: bool = True,
    compose: Compose | None = None,
    tls: TlsFiles | None = None,
    people: frozenset[str] = frozenset(),
    limits: StreamLimits = DEFAULTS,
    rollout: RolloutSettings | None = None,
    socket: Path | None = None,
    issuer: Issuer | None = None,
    edit: Callable[[Path], None] = lambda _: None,
) -> AsyncIterator[ControlPlane]:
    """Serve a copy of the demo mesh; with *follow* off nothing is ever listed, and *compose* may
    serve other resources than those of the mesh. With *tls*, the server's files, it is served on
    loopback, and *people* may call the Inspector; there too, on another port, log in those who have
    a token of *issuer*. *socket* is where another has listened before,
    and *edit* changes the folder before anything is read.
    """
    folder = tmp_path / "mesh"
    shutil.copytree(DEMO, folder)
    edit(folder)
    metrics = Metrics()
    debounce = Debounce(quiet=0.02, longest=0.5, clock=time.monotonic)
    store = Store(MeshSettings().scope, on_change=debounce.touch)
    records = StreamRecords(clock=time.time)
    hub = hub_that(compose)(
        store,
        debounce,
        records=records,
        metrics=metrics,
        clock=time.monotonic,
        rollout=rollout or RolloutSettings(),
    )
    server_tls = None if tls is None else _server_tls(tls, metrics)
    source = FilesSource(folder, store)
    address = (
        (f"unix:{socket}" if socket else plaintext_address(tmp_path))
        if tls is None
        else f"localhost:{free_ports(1)[0]}"
    )
    local_socket = tmp_path / "local.sock"
    token_address = f"localhost:{free_ports(1)[0]}"
    local_address = f"127.0.0.1:{free_ports(1)[0]}"
    ports = Ports(
        address,
        server_tls,
        local_socket,
        token_address,
        local_address,
    )
    ring = _ring(issuer)
    login = TokenLogin(ring, audience=AUDIENCE, metrics=metrics, now=utc_now, clock=time.monotonic)
    running = [asyncio.create_task(hub.run())]
    if follow:
        source.load()
        running.append(asyncio.create_task(source.run()))
    try:
        async with serving(
            hub,
            ports,
            metrics=metrics,
            people=people,
            limits=limits,
            login=login,
        ) as numbers:
            if follow:
                async with asyncio.timeout(30):
                    while not hub.ready:
                        await asyncio.sleep(0.005)
            yield ControlPlane(
                dialed(address, numbers),
                folder,
                hub,
                metrics,
                local_socket,
                server_tls,
                token_address,
                ring,
                local_address,
            )
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def bearer(token: str | None) -> tuple[tuple[str, str], ...]:
    """The metadata of a call that shows a token; none without one."""
    return () if token is None else (("authorization", f"Bearer {token}"),)


def with_uid(uid: str) -> Callable[[Path], None]:
    """An edit of the folder that gives the pod `curl` a uid, as an API server would."""

    def edit(folder: Path) -> None:
        path = folder / "curl.yaml"
        documents = [one for one in yaml.safe_load_all(path.read_text()) if one]
        for document in documents:
            if document["kind"] == "Pod":
                document["metadata"]["uid"] = uid
        fresh = path.with_suffix(".new")
        fresh.write_text(yaml.safe_dump_all(documents))
        fresh.replace(path)

    return edit


def _ring(issuer: Issuer | None) -> KeyRing:
    """The keys that the issuer publishes, whenever it is asked; no keys without an issuer."""

    async def ask() -> None:
        if issuer is not None:
            ring.publish(issuer.published)

    ring = KeyRing(ask, clock=time.monotonic)
    return ring


def _server_tls(files: TlsFiles, metrics: Metrics) -> ServerTls:
    return ServerTls(
        certificate=files.certificate,
        key=files.key,
        client_ca=files.ca,
        metrics=metrics,
        clock=lambda: datetime.now(UTC),
    )
