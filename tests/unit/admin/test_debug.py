"""The Debug service: tasks, memory, a CPU profile, the level of logs."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from support.running_hub import RunningHub
from support.serving import serving
from towpath.app.ports import Ports
from towpath.settings import Settings, all_settings
from towpath.telemetry import logs
from towpath_api.v1 import debug_pb2 as pb
from towpath_api.v1 import debug_pb2_grpc as pb_grpc


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in logs.OURS]
    before = [logger.level for logger in loggers]
    logs.set_level("info")
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.fixture
async def debug(running: RunningHub, tmp_path: Path) -> AsyncIterator[pb_grpc.DebugAsyncStub]:
    address = f"unix:{tmp_path}/ads.sock"
    async with (
        serving(running.hub, Ports(address), metrics=running.metrics),
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield pb_grpc.DebugStub(channel)


async def _waits_for_godot(godot: asyncio.Event) -> None:
    await godot.wait()


async def test_tasks_are_listed_by_where_they_wait(debug: pb_grpc.DebugAsyncStub) -> None:
    godot = asyncio.Event()
    waiting = [asyncio.create_task(_waits_for_godot(godot)) for _ in range(3)]
    await asyncio.sleep(0)
    answer = await debug.ListTasks(pb.ListTasksRequest())
    godot.set()
    await asyncio.gather(*waiting)

    (group,) = (one for one in answer.groups if one.function == "_waits_for_godot")
    assert 3 == group.count
    assert group.stack[0].startswith("admin/test_debug.py:")
    assert group.stack[-1].endswith(" in Event.wait")


@pytest.mark.parametrize("apart", [False, True])
async def test_memory_is_told_with_the_types_that_have_most_objects(
    debug: pb_grpc.DebugAsyncStub,
    apart: bool,  # noqa: FBT001 (a parameter of the test)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # However much other tests have left in this process.
    monkeypatch.setattr("towpath.admin.debug.MOST_OBJECTS", 1_000_000_000)
    rows = [[number] for number in range(50_000)]
    if apart:  # as the server does with what lives long
        gc.freeze()
    answer = await debug.GetMemory(pb.GetMemoryRequest())
    assert apart == (gc.get_freeze_count() > 0)
    gc.unfreeze()
    counts = {one.type: one.count for one in answer.types}

    assert counts["builtins.list"] >= len(rows)
    assert answer.objects >= sum(counts.values())
    assert 0 < answer.resident_bytes <= answer.peak_resident_bytes


def _turn_the_mill(end: threading.Event) -> None:
    while not end.is_set():
        hashlib.sha256(b"grain" * 1000).digest()


async def test_a_profile_shows_who_uses_the_cpu_and_not_who_waits(
    debug: pb_grpc.DebugAsyncStub,
) -> None:
    end, idle = threading.Event(), threading.Event()
    busy = threading.Thread(target=_turn_the_mill, args=(end,), name="mill", daemon=True)
    sleeper = threading.Thread(target=idle.wait, name="sleeper", daemon=True)
    busy.start()
    sleeper.start()
    try:
        answer = await debug.ProfileCpu(pb.ProfileCpuRequest(seconds=1))
    finally:
        end.set()
        idle.set()
    times = {one.stack: one.microseconds for one in answer.stacks}
    stacks = [stack for stack in times if stack.startswith("mill;")]

    assert answer.samples > 0
    assert any("_turn_the_mill (admin/test_debug.py)" in stack for stack in stacks)
    assert sum(times[stack] for stack in stacks) > 0
    assert [] == [stack for stack in times if stack.startswith("sleeper;")]


async def test_a_second_profile_at_the_same_time_is_refused(debug: pb_grpc.DebugAsyncStub) -> None:
    first = debug.ProfileCpu(pb.ProfileCpuRequest(seconds=60))
    codes: list[grpc.StatusCode] = []
    while grpc.StatusCode.RESOURCE_EXHAUSTED not in codes:
        try:
            await debug.ProfileCpu(pb.ProfileCpuRequest(seconds=61 if not codes else 1))
        except grpc.aio.AioRpcError as error:
            codes.append(error.code())
    first.cancel()
    threads = [one for one in threading.enumerate() if one.name.startswith("asyncio_")]
    async with asyncio.timeout(50):
        while any("profile" in _functions(thread) for thread in threads):
            await asyncio.sleep(0.01)

    assert {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED} >= set(codes)


def _functions(thread: threading.Thread) -> set[str]:
    """What a thread is in."""
    frame = sys._current_frames().get(thread.ident or 0)
    names = set()
    while frame is not None:
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    return names


async def test_the_level_of_logs_changes_for_a_while(
    debug: pb_grpc.DebugAsyncStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: list[tuple[object, ...]] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def note(delay: float, callback: object, *args: object, **context: object) -> object:
        if callback is logs.set_level:
            later.append((delay, *args))
        return call_later(delay, callback, *args, **context)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_later", note)
    first = await debug.SetLogLevel(pb.SetLogLevelRequest(level="debug", seconds=600))

    assert ("info", "debug", "debug") == (first.before, first.level, logs.level())
    assert [(600, "info")] == later
    usual = await debug.SetLogLevel(pb.SetLogLevelRequest())
    assert ("debug", "info", "info") == (usual.before, usual.level, logs.level())


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (pb.SetLogLevelRequest(level="loud"), "level is 'loud', allowed is debug, info, "),
        (pb.SetLogLevelRequest(level="info", seconds=86_401), "seconds is 86401, allowed is up to"),
    ],
)
async def test_a_level_that_does_not_exist_is_refused(
    debug: pb_grpc.DebugAsyncStub, request_: pb.SetLogLevelRequest, words: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await debug.SetLogLevel(request_)

    assert grpc.StatusCode.INVALID_ARGUMENT is raised.value.code()
    assert words in (raised.value.details() or "")
    assert "info" == logs.level()


async def test_the_process_says_its_metrics_and_its_level(debug: pb_grpc.DebugAsyncStub) -> None:
    answer = await debug.GetProcess(pb.GetProcessRequest())

    assert ("test", "info") == (answer.version, answer.log_level)
    assert "towpath_connected_sidecars" in answer.metrics


def test_every_setting_is_told_as_text() -> None:
    texts = Settings().texts

    assert list(all_settings()) == list(texts)
    assert "osm" == texts["mesh_name"]
