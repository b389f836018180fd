"""`towpath serve`: every part built once, run in one TaskGroup, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from towpath import __version__
from towpath.admin.http import HttpEndpoints
from towpath.admin.inspector import Inspector
from towpath.app.grpc_server import start_grpc
from towpath.hub.deliveries import Deliveries
from towpath.hub.hub import Hub
from towpath.hub.settle import Settle
from towpath.settings import Settings, SettingsError, split_address
from towpath.sources.files import FilesSource
from towpath.store import Store
from towpath.telemetry.metrics import Metrics
from towpath.xds.service import AdsService

if TYPE_CHECKING:
    from towpath.sources.kube import KubeSource

log = logging.getLogger(__name__)

Announce = Callable[[str, str], None]
"""Called with the ADS and the HTTP address once both are served."""


async def serve(settings: Settings, *, announce: Announce) -> None:
    """Serve until SIGINT or SIGTERM. Raises SourceError, SettingsError or OSError at start."""
    metrics = Metrics()
    settle = Settle(quiet=settings.settle_quiet, longest=settings.settle_max, clock=time.monotonic)
    store = Store(
        mesh_name=settings.mesh_name,
        osm_namespace=settings.osm_namespace,
        cross_namespace_egress=settings.cross_namespace_egress == "allow",
        on_change=settle.touch,
    )
    hub = Hub(
        store,
        settle,
        deliveries=Deliveries(clock=time.time),
        metrics=metrics,
        clock=time.monotonic,
    )
    ads = AdsService(
        hub,
        metrics=metrics,
        clock=time.monotonic,
        unknown_pod_wait=settings.unknown_pod_wait,
        identifier=f"towpath/{__version__}",
    )
    source = await _source(settings, store)
    pages = HttpEndpoints(
        hub, metrics=metrics, version=__version__, stale_seconds=source.stale_seconds
    )
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(hub.run()), tasks.create_task(source.run())]
        async with contextlib.AsyncExitStack() as served:
            await served.enter_async_context(_http(pages, settings.http_address))
            await served.enter_async_context(
                start_grpc(settings.ads_address, ads, Inspector(hub), grace=settings.shutdown_grace)
            )
            announce(settings.ads_address, settings.http_address)
            await _told_to_stop()
            log.info("stopping: sidecars keep the configuration they have")
        for task in running:
            task.cancel()


async def _source(settings: Settings, store: Store) -> FilesSource | KubeSource:
    """The folder if one is given, else the cluster."""
    if settings.manifests is not None:
        folder = FilesSource(settings.manifests, store)
        folder.load()
        return folder
    # The Kubernetes client takes a second to import: a folder is served without it.
    from towpath.kubeapi import KubeApiError, connect
    from towpath.sources.kube import KubeSource

    try:
        api = await connect(settings.kubeconfig, settings.context)
    except KubeApiError as error:
        text = f"{error}; give --manifests DIR or --kubeconfig FILE, or run in a cluster"
        raise SettingsError(text) from error
    return KubeSource(api, store, osm_namespace=settings.osm_namespace)


@contextlib.asynccontextmanager
async def _http(pages: HttpEndpoints, address: str) -> AsyncIterator[None]:
    host, port = split_address(address)
    runner = web.AppRunner(pages.application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


async def _told_to_stop() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    try:
        await told.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
