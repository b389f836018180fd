"""`towpath serve`: every part built once, run in one TaskGroup, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from towpath import __version__
from towpath.access import Gate
from towpath.access.doorkeeper import Doorkeeper, Room
from towpath.admin.csds import ClientStatus
from towpath.admin.debug import Debug
from towpath.admin.http import HttpEndpoints
from towpath.admin.http_port import http_port
from towpath.admin.inspector import Inspector
from towpath.admin.overview import Surroundings
from towpath.app.grpc_server import LARGEST, RULES, start_grpc
from towpath.app.injection import injection_port, roots_to_trust
from towpath.app.ports import Ports
from towpath.clock import utc_now
from towpath.garbage import GarbageCollection
from towpath.hub.debounce import Debounce
from towpath.hub.hub import Hub
from towpath.hub.journal import Journal
from towpath.model.names import ObjectRef
from towpath.observe.recent import RecentFlows
from towpath.reports import ReportService
from towpath.rollout.records import StreamRecords
from towpath.settings import Settings, SettingsError
from towpath.sources.files import FilesSource
from towpath.store import Store
from towpath.supervision import Supervisor
from towpath.telemetry.lag import LoopLag
from towpath.telemetry.logs import toggle_debug
from towpath.telemetry.metrics import Metrics
from towpath.telemetry.traces import NO_TRACES, Traces
from towpath.xds.service import AdsService

if TYPE_CHECKING:
    from towpath.access.login import TokenLogin
    from towpath.access.tls import ServerTls
    from towpath.app.cluster import Writer
    from towpath.ca.issuance import Issuance
    from towpath.sources.kube import KubeSource

log = logging.getLogger(__name__)

TRACES_S = 1.0
"""How long the last traces may take to be sent when the server stops."""

OWN_DESCRIPTORS = 160
"""Kept from the ADS port: for the HTTP port, an API server, files."""

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

DEBUG = signal.SIGUSR1
"""Sent by the process's own user or root alone: logs at debug, and once more at the level set."""

STATUS_QUIET_S, STATUS_LONGEST_S = 0.5, 2.0
"""How long acknowledgements are gathered before they are counted for people, and changes before
the log tells of them.
"""


async def serve(
    settings: Settings,
    *,
    announce: Callable[[], None],
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; *announce* is called once all is served, *stopping*
    when it is to end.

    Raises SourceError, SettingsError or OSError at start.
    """
    asyncio.get_running_loop().add_signal_handler(DEBUG, toggle_debug, settings.process.log_level)
    metrics = Metrics()
    tls = _tls(settings, metrics)
    room = _room(settings)
    doorkeeper = Doorkeeper(room, metrics=metrics, clock=time.monotonic)
    debounce = Debounce(
        quiet=settings.debounce.settle_quiet,
        longest=settings.debounce.settle_max,
        clock=time.monotonic,
    )
    store = Store(
        settings.mesh.scope,
        on_change=debounce.touch,
        needs_identity=settings.access.authority is not None,
    )
    issuance = _issuance(settings, store, metrics)
    status_debounce = Debounce(quiet=STATUS_QUIET_S, longest=STATUS_LONGEST_S, clock=time.monotonic)
    journal_debounce = Debounce(
        quiet=STATUS_QUIET_S, longest=STATUS_LONGEST_S, clock=time.monotonic
    )

    def published() -> None:
        status_debounce.touch()
        journal_debounce.touch()

    traces = _traces(settings)
    hub = Hub(
        store,
        debounce,
        records=StreamRecords(clock=time.time, on_change=status_debounce.touch),
        metrics=metrics,
        clock=time.monotonic,
        on_publish=published,
        rollout=settings.rollout,
        traces=traces,
    )
    async with contextlib.AsyncExitStack() as outer, asyncio.TaskGroup() as tasks:
        source, writers = await outer.enter_async_context(
            _source(settings, store, hub, tls, status_debounce=status_debounce, metrics=metrics)
        )
        gate = Gate(
            RULES,
            plaintext=tls is None,
            trust_domain=settings.access.tls_trust_domain,
            people=settings.access.people,
            metrics=metrics,
            largest=LARGEST,
            let_in=doorkeeper.let_in,
            hang_up=doorkeeper.hang_up,
            login=_login(settings, source, doorkeeper, metrics),
        )
        ads = AdsService(
            hub,
            gate=gate,
            metrics=metrics,
            traces=traces,
            clock=time.monotonic,
            limits=settings.streams,
            identifier=f"towpath/{__version__}",
        )
        flows, refusals = RecentFlows(), RecentFlows()
        reports = ReportService(
            hub,
            flows,
            refusals,
            gate=gate,
            metrics=metrics,
            clock=time.monotonic,
            cpu=time.thread_time,
            now=time.time,
            limits=settings.streams,
        )
        pages = HttpEndpoints(
            hub, metrics=metrics, version=__version__, stale_seconds=source.stale_seconds
        )
        supervisor = Supervisor(metrics)
        works = [
            ("hub", hub.run),
            ("source", source.run),
            ("journal", Journal(hub, journal_debounce).run),
            ("loop-lag", LoopLag(metrics).run),
            ("garbage", GarbageCollection(hub.records).run),
        ]
        works += [("status", writer.run) for writer in writers]
        if tls is not None:
            works.append(("tls", tls.follow))
        if issuance is not None:
            works.append(("issuance", issuance.run))
        running = [tasks.create_task(supervisor.keep(*work)) for work in works]
        async with contextlib.AsyncExitStack() as served:
            await served.enter_async_context(
                http_port(pages.application(), settings.access.http_address, metrics=metrics)
            )
            await served.enter_async_context(injection_port(settings, hub, tls, metrics=metrics))
            ports = Ports(
                settings.access.ads_address,
                tls,
                settings.access.local_socket,
                settings.access.ads_token_address,
                settings.access.local_address,
            )
            surroundings = _surroundings(source, tls, issuance)
            inspector, status = (
                Inspector(hub, flows, surroundings, refusals=refusals),
                ClientStatus(hub),
            )
            debug = Debug(
                metrics=metrics,
                version=__version__,
                settings=settings.texts,
                level=settings.process.log_level,
                started_at=time.time(),
            )
            grace = settings.process.shutdown_grace
            numbers = await served.enter_async_context(
                start_grpc(
                    ports,
                    ads,
                    reports,
                    inspector,
                    status,
                    debug=debug,
                    gate=gate,
                    grace=grace,
                    connections=settings.connections,
                    room=room,
                    end_all=doorkeeper.end_all,
                )
            )
            if numbers:
                keeping = supervisor.keep("doorkeeper", partial(doorkeeper.keep, *numbers))
                running.append(tasks.create_task(keeping))
            announce()
            await _told_to_stop()
            stopping()
            log.info("stopping: sidecars keep the configuration they have")
        for task in running:
            task.cancel()
        await _close(traces)


def _traces(settings: Settings) -> Traces:
    """What traces changes, if there is somebody to send that to. Raises SettingsError."""
    if not settings.process.otlp_endpoint:
        return NO_TRACES
    try:
        from towpath.telemetry.otlp import otlp_traces
    except ModuleNotFoundError as error:
        text = "--otlp-endpoint needs the extra tracing: pip install 'towpath[tracing]'"
        raise SettingsError(f"{text} ({error})") from error
    return otlp_traces(settings.process.otlp_endpoint)


async def _close(traces: Traces) -> None:
    """Send what is left to be sent; a collector that does not answer keeps nobody from ending."""
    sending = threading.Thread(target=traces.close, daemon=True)
    sending.start()
    await asyncio.to_thread(sending.join, TRACES_S)


def _room(settings: Settings) -> Room:
    """For how many connections there is room, with the descriptors that we may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most == resource.RLIM_INFINITY:
        most = sys.maxsize
    return Room(
        connections=max(min(settings.connections.max_connections, most - OWN_DESCRIPTORS), 1),
        per_peer=settings.connections.max_connections_per_peer,
        first_call_s=settings.streams.first_request_wait,
    )


def _tls(settings: Settings, metrics: Metrics) -> ServerTls | None:
    """What the TLS files hold, if there are any. Raises SettingsError."""
    if (
        settings.access.tls_cert is None
        or settings.access.tls_key is None
        or settings.access.tls_client_ca is None
    ):
        return None
    # The library that reads certificates takes a tenth of a second to import.
    from towpath.access.tls import ServerTls

    return ServerTls(
        certificate=settings.access.tls_cert,
        key=settings.access.tls_key,
        client_ca=settings.access.tls_client_ca,
        metrics=metrics,
        clock=lambda: datetime.now(UTC),
    )


def _login(
    settings: Settings, source: FilesSource | KubeSource, doorkeeper: Doorkeeper, metrics: Metrics
) -> TokenLogin | None:
    """What judges pods' tokens, by the keys that the source follows; None: nothing does."""
    if isinstance(source, FilesSource) or source.issuer is None:
        return None
    # The library of signatures takes half a second to import.
    from towpath.access.keys import KeyRing
    from towpath.access.login import TokenLogin

    ring = KeyRing(source.issuer.ask, clock=time.monotonic)
    source.issuer.tell(ring.publish)
    return TokenLogin(
        ring,
        audience=settings.access.token_audience,
        metrics=metrics,
        now=utc_now,
        clock=time.monotonic,
        hang_up=doorkeeper.hang_up,
    )


def _issuance(settings: Settings, store: Store, metrics: Metrics) -> Issuance | None:
    """What keeps leaves up to date, if there is an authority for them."""
    folder = settings.access.authority
    if folder is None:
        return None
    # As for the TLS files.
    from towpath.ca.issuance import Issuance
    from towpath.ca.mesh_authority import SECRET

    namespace = settings.mesh.osm_namespace
    in_cluster = settings.source.manifests is None
    secret = ObjectRef("Secret", namespace, SECRET)
    return Issuance(
        folder,
        store,
        ref=secret if in_cluster else ObjectRef("Folder", "", str(folder)),
        osm_namespace=namespace,
        trust_domain=settings.access.tls_trust_domain,
        random_keys=settings.access.leaf_keys == "random",
        metrics=metrics,
        clock=utc_now,
    )


def _surroundings(
    source: FilesSource | KubeSource, tls: ServerTls | None, issuance: Issuance | None
) -> Surroundings:
    """What people are told of the server beside its mesh."""
    return Surroundings(
        source.stale_seconds,
        lambda: tls.expires_at if tls else None,
        lambda: issuance.authority_expires_at if issuance else None,
        lambda: issuance.leaf_expires_at if issuance else None,
        lambda: issuance.trusted_roots if issuance else (),
        lambda: issuance.signing_certificate if issuance else "",
    )


@contextlib.asynccontextmanager
async def _source(
    settings: Settings,
    store: Store,
    hub: Hub,
    tls: ServerTls | None,
    *,
    status_debounce: Debounce,
    metrics: Metrics,
) -> AsyncIterator[tuple[FilesSource | KubeSource, tuple[Writer, ...]]]:
    """The folder if one is given, else the cluster, to which status may be written."""
    if settings.source.manifests is not None:
        folder = FilesSource(settings.source.manifests, store)
        folder.load()
        yield folder, ()
        return
    # The Kubernetes client takes a second to import: a folder is served without it.
    from towpath.app.cluster import cluster

    injects = settings.injection.injection_address != ""
    async with cluster(
        settings,
        store,
        hub,
        status_debounce=status_debounce,
        metrics=metrics,
        roots=roots_to_trust(hub, tls) if tls and injects else None,
    ) as parts:
        yield parts


async def _told_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOPS:
        loop.add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        # A second one ends the process as it is.
        for number in STOPS:
            loop.remove_signal_handler(number)
