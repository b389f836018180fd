"""Tokens: wrong ones at the token port, each on a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest

from bench.hostile.row import Row
from support.certificates import Certificates
from support.control_plane import bearer, control_plane, with_uid
from support.tokens import Issuer
from towpath.model.types import CLUSTER
from towpath.xds.service import SERVICE

COUNT = 300
LONG = 100_000
STREAM = f"/{SERVICE}/StreamAggregatedResources"
SUBSCRIPTION = DiscoveryRequest(node=Node(id="curl.curl"), type_url=CLUSTER).SerializeToString()


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> list[Row]:
    issuer, tls = Issuer(), Certificates(folder).server()
    right = issuer.token(uid="uid-1")
    wrong = {
        "of the right form, signed by a key of its own": Issuer().token(),
        "that name a key that is not known": Issuer(kid="other").token(),
        f"of {LONG:,} characters": right + "x" * (LONG - len(right)),
    }
    # One line for each would be longer than the table.
    logging.disable()
    rows = []
    context = multiprocessing.get_context("spawn")
    async with control_plane(folder, tls=tls, issuer=issuer, edit=with_uid("uid-1")) as plane:
        # In a process of their own, so that what they cost themselves is not counted.
        with context.Pool(1) as pool:

            async def attack(token: str, count: int) -> tuple[float, float]:
                """Milliseconds of the server's CPU for each, and how long a right one waits."""
                work = pool.apply_async(_show, (plane.token_address, tls.ca, token, count))
                began = time.process_time()
                waited = 0.0
                while not work.ready():
                    # Seldom, as what this client costs is counted.
                    await asyncio.sleep(1)
                    waited = max(waited, await asyncio.to_thread(_served, plane, tls.ca, right))
                assert work.get() == count
                return (time.process_time() - began) * 1000 / count, waited

            await attack(wrong["that name a key that is not known"], 20)
            for what, token in wrong.items():
                cost, waited = await attack(token, COUNT)
                rows.append(
                    Row(
                        f"{COUNT} tokens {what}",
                        f"{cost:.1f} ms of CPU each, with its connection",
                        f"a sidecar with a right one is served after {waited:.2f} s at most",
                    )
                )
    return rows


def _served(plane: Any, authority: Path, token: str) -> float:
    began = time.monotonic()
    assert _status(plane.token_address, authority, token) is None
    return time.monotonic() - began


def _show(address: str, authority: Path, token: str, count: int) -> int:
    """How many of so many calls, each on a new connection, are refused."""
    return sum(_status(address, authority, token) is not None for _ in range(count))


def _status(address: str, authority: Path, token: str) -> grpc.StatusCode | None:
    """What a call is refused with; None if it is answered."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_metadata_size", 1 << 20))
    trusting = grpc.ssl_channel_credentials(authority.read_bytes())
    with grpc.secure_channel(address, trusting, options) as channel:
        method: Any = channel.unary_stream(STREAM)
        call = method(SUBSCRIPTION, metadata=bearer(token), timeout=30)
        with contextlib.suppress(grpc.RpcError):
            next(call)
            call.cancel()
            return None
        status: grpc.StatusCode = call.code()
        return status
