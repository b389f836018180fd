"""A hub on real gRPC ports in this process, as `towpath serve` puts it there."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from support.certificates import TRUST_DOMAIN
from towpath.access import Gate
from towpath.access.doorkeeper import Room
from towpath.access.login import TokenLogin
from towpath.admin.csds import ClientStatus
from towpath.admin.debug import Debug
from towpath.admin.inspector import Inspector
from towpath.app.grpc_server import LARGEST, RULES, start_grpc
from towpath.app.ports import Ports
from towpath.hub.hub import Hub
from towpath.observe.recent import RecentFlows
from towpath.reports import ReportService
from towpath.settings import ConnectionLimits, StreamLimits
from towpath.telemetry.metrics import Metrics
from towpath.xds.service import AdsService

DEFAULTS = StreamLimits()


def transport() -> Any:
    """What `towpath serve` reads too: one variable runs a whole suite on either transport."""
    return os.environ.get("TOWPATH_TRANSPORT", "grpc")


ANY_PORT = "127.0.0.1:0"


def plaintext_address(folder: Path | None) -> str:
    """Where a test is served by the transport that it is run on: on unix sockets it is always
    grpc.aio.
    """
    return ANY_PORT if transport() == "fast" else f"unix:{folder}/ads.sock"


def dialed(address: str, numbers: tuple[int, ...]) -> str:
    """The address with the port that was given to it."""
    return address.replace(":0", f":{numbers[0]}") if address == ANY_PORT else address


@contextlib.asynccontextmanager
async def serving(
    hub: Hub,
    ports: Ports,
    *,
    metrics: Metrics,
    people: frozenset[str] = frozenset(),
    limits: StreamLimits = DEFAULTS,
    login: TokenLogin | None = None,
) -> AsyncIterator[tuple[int, ...]]:
    """Serve *hub* on *ports*; with credentials, *people* may call the Inspector, and *login* takes
    tokens. Gives the TCP ports.
    """
    gate = Gate(
        RULES,
        plaintext=ports.tls is None,
        trust_domain=TRUST_DOMAIN,
        people=people,
        metrics=metrics,
        largest=LARGEST,
        login=login,
    )
    ads = AdsService(
        hub,
        gate=gate,
        metrics=metrics,
        clock=time.monotonic,
        limits=limits,
        identifier="towpath/test",
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
        limits=limits,
    )
    async with start_grpc(
        ports,
        ads,
        reports,
        Inspector(hub, flows, refusals=refusals),
        ClientStatus(hub),
        debug=Debug(metrics=metrics, version="test", settings={}, level="info", started_at=0.0),
        gate=gate,
        grace=0.1,
        connections=ConnectionLimits(transport=transport()),
        room=Room(connections=10_000, per_peer=1_000, first_call_s=limits.first_request_wait),
        end_all=_end_none,
    ) as numbers:
        yield numbers


async def _end_none() -> None:
    """Whoever is connected ends by himself."""
