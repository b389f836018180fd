"""10,000 configurations through one agent and its Pipy: nothing is left of each but the last."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from support.agent_process import STAND_IN
from towpath_api.v1.sidecar_pb2 import SidecarConfig, SidecarSpec
from towpath_client.agent.agent import Agent
from towpath_client.agent.child import Child
from towpath_client.agent.counters import Counters
from towpath_client.agent.files import ConfigFile
from towpath_client.resource_types import SIDECAR_CONFIG
from towpath_client.update import Resource, Update

NODE = "curl.curl"
UPDATES = 10_000
WARM = 1_000
MEMORY = "/dev/shm"


def update(number: int, answers: list[str | None]) -> Update:
    packed = AnyMessage()
    packed.Pack(SidecarConfig(name=NODE, spec=SidecarSpec(sidecar_timeout=number)))
    held = MappingProxyType({NODE: Resource(f"{number:020}", packed)})
    return Update(
        type_url=SIDECAR_CONFIG,
        version=f"{number}",
        changed=held,
        removed=frozenset(),
        resource_errors={},
        resources=held,
        received=(NODE,),
        _answer=lambda _, reason: answers.append(reason),
    )


def footprint() -> tuple[int, int, int]:
    """Open files, tasks, and blocks of memory that Python has allocated."""
    gc.collect()
    tasks = len(asyncio.all_tasks())
    return len(os.listdir("/proc/self/fd")), tasks, sys.getallocatedblocks()  # noqa: PTH208 (no names are kept)


@pytest.mark.timeout(180)
async def test_ten_thousand_updates_leave_nothing_behind() -> None:
    # In memory, if there is such a folder: what is tested is not the disk.
    answers: list[str | None] = []
    marks = []

    async def updates() -> AsyncIterator[Update]:
        for number in range(1, UPDATES + 1):
            yield update(number, answers)
            assert [None] == answers, answers
            answers.clear()
            if number in (WARM, UPDATES):
                marks.append(footprint())

    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as name:
        folder = Path(name)
        pipy = Child((*STAND_IN, name), timeout=30, settle=0)
        counters = Counters()
        agent = Agent(NODE, ConfigFile(folder / "config.json"), pipy, counters)
        try:
            await agent.follow(updates())
        finally:
            pipy.forward(signal.SIGTERM)
        assert 7 == await pipy.ended()
        left = {path.name for path in folder.iterdir()}  # noqa: ASYNC240 (a handful of names)
        seen = (folder / "seen").read_text().split()

    warm, after = marks
    # What tests before this one have left may still be closed meanwhile.
    assert after[0] <= warm[0]
    assert after[1] <= warm[1]
    assert after[2] - warm[2] < 1_000
    assert {"config.json", "config.json.good", "pid", "seen"} == left
    assert UPDATES == len(seen) == counters.updates["accepted"]
    assert f"{UPDATES:020}" == seen[-1] == counters.version
