"""Generated requests on many streams, while the state changes: a stream ends by a status that says
so or goes on, no other is touched, and nothing fails inside.

It runs for TOWPATH_FUZZ_SECONDS; a run is repeated by its TOWPATH_FUZZ_SEED.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import grpc
import grpc.aio
import pytest

from support.xds.case import Case
from support.xds.client import PROBED, PROBES, Client
from support.xds.contents import Contents, Item
from support.xds.fuzz import AGENTS, Requests
from support.xds.stream import StreamEnded
from support.xds.towpath_target import towpath_target
from support.xds.types import CLUSTER, LISTENER, ROUTES, TYPES
from towpath.settings import StreamLimits

SECONDS = float(os.environ.get("TOWPATH_FUZZ_SECONDS") or 60)
SEED = int(os.environ.get("TOWPATH_FUZZ_SEED") or 0)
AT_ONCE = 6
ENDS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.NOT_FOUND,  # of a pod that nobody knows
}
SEEN = {"INVALID_ARGUMENT", "NOT_FOUND"}
"""Ends that are waited for: on a busy machine there are few histories in the time."""
LOST = (grpc.StatusCode.INTERNAL, "Internal error from Core")
"""What grpc.aio says at the client of a stream that ended while it was writing."""

REFERRING = {LISTENER: {"A": Item(to="A")}, ROUTES: {"A": Item(to="A"), "B": Item(to="B")}}
HELD: Contents = {
    type_url: dict.fromkeys(("A", "B", *PROBES), Item()) | REFERRING.get(type_url, {})
    for type_url in TYPES
}


@dataclass
class Tally:
    """What has been done so far."""

    histories: int = 0
    requests: int = 0
    responses: int = 0
    ends: Counter[str] = field(default_factory=Counter)


@pytest.mark.timeout(SECONDS + 60)
async def test_any_client_breaks_its_own_stream_at_most(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    until, tally = time.monotonic() + SECONDS, Tally()
    async with towpath_target(tmp_path, limits=StreamLimits(unknown_pod_wait=0.2)) as target:
        cases = [Case(target, f"fuzz-{number}.conformance") for number in range(AT_ONCE)]
        calm = Case(target, "calm.conformance")
        for case in (*cases, calm):
            await case.put(HELD)
        async with calm.sotw() as witness:
            await witness.get(CLUSTER)
            while time.monotonic() < until or not SEEN <= tally.ends.keys():
                # Each history has a seed of its own: one that fails is run again alone, at first.
                seeds = range(SEED + tally.histories, SEED + tally.histories + AT_ONCE)
                async with asyncio.TaskGroup() as running:
                    for case, seed in zip(cases, seeds, strict=True):
                        running.create_task(_history(case, seed, tally))
                await calm.update(CLUSTER, "A")
                assert (await witness.take()).names == ["A", "B"]  # and the probes
        assert not [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    print(
        f"\n{tally.histories} histories from seed {SEED}: {tally.requests} requests, "
        f"{tally.responses} responses, ended by the server: {dict(tally.ends)}"
    )
    assert tally.ends.keys() >= SEEN
    assert tally.histories > 10


async def _history(case: Case, seed: int, tally: Tally) -> None:
    """One stream from its beginning to its end."""
    random = Random(seed)
    in_delta, own = random.random() < 0.5, random.choice(("", "", "", *TYPES))
    opened = (case.delta if in_delta else case.sotw)(own=own, agent=random.choice(AGENTS))
    async with opened as client:
        requests = Requests(random, client, delta=in_delta)
        with contextlib.suppress(StreamEnded):
            for _ in range(random.randrange(1, 60)):
                await _step(random, case, client, requests)
        for probe in PROBES[:2]:  # what is rejected is not sent again, so it must be new
            await case.update(own or PROBED, probe)
        ended = await _ended(client, seed)
        if ended == LOST:
            tally.ends["(not told)"] += 1
        elif ended is not None:
            assert ended[0] in ENDS, f"seed {seed}: {ended}"
            assert ended[1], f"seed {seed}: {ended[0]} without a word"
            tally.ends[ended[0].name] += 1
        tally.histories += 1
        tally.requests += client.requests
        tally.responses += len(client.heard)


async def _step(random: Random, case: Case, client: Client, requests: Requests) -> None:
    match random.randrange(10):
        case 0:
            name, type_url = random.choice("AB"), random.choice(TYPES)
            await case.update(type_url, name)
        case 1 | 2 | 3:
            with contextlib.suppress(TimeoutError):
                await client.hear(within=0.002)
        case _:
            await client.say_bytes(requests.next())


async def _ended(client: Client, seed: int) -> tuple[grpc.StatusCode, str] | None:
    """How the server ended the stream; None if it still answers."""
    try:
        await client.settle()
    except StreamEnded:
        return await client.status()
    except TimeoutError:
        pytest.fail(f"seed {seed}: the stream is open, and not answered")
    return None
