"""The Debug service: what the process is and does, for whoever looks for a fault in it."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

import grpc
from prometheus_client import generate_latest

from towpath.access.caller import Context
from towpath.admin.times import timestamp
from towpath.telemetry import logs
from towpath.telemetry.metrics import Metrics
from towpath.telemetry.profile import profile
from towpath.telemetry.recent import recent_lines
from towpath_api.v1 import debug_pb2 as pb
from towpath_api.v1 import debug_pb2_grpc as pb_grpc

log = logging.getLogger(__name__)

LONGEST_PROFILE_S = 60
LONGEST_LEVEL_S = 86_400
MOST_TYPES = 50
MOST_OBJECTS = 2_000_000
"""To list these takes some tens of milliseconds."""
MOST_GROUPS = 200
MOST_STACKS = 1_000
_SLICE = 10_000
"""Objects that are counted before others get a turn."""


class Debug(pb_grpc.DebugServicer):
    """Answers from the process itself; of the mesh it knows nothing.

    *settings* are those of the server by name, *level* is the level of logs among them, and
    *started_at* is in seconds since the epoch.
    """

    # gRPC passes the request and the context by position; the names are the protocol's.
    # ruff: noqa: ARG002, N802

    def __init__(
        self,
        *,
        metrics: Metrics,
        version: str,
        settings: Mapping[str, str],
        level: str,
        started_at: float,
    ) -> None:
        self._metrics = metrics
        self._version = version
        self._settings = settings
        self._level = level
        self._started_at = started_at
        self._profiling = False
        self._end: asyncio.TimerHandle | None = None

    async def GetProcess(
        self, request: pb.GetProcessRequest, context: Context
    ) -> pb.GetProcessResponse:
        return pb.GetProcessResponse(
            version=self._version,
            python=sys.version.replace("\n", " "),
            started_at=timestamp(self._started_at),
            settings=self._settings,
            log_level=logs.level(),
            log_lines=recent_lines(),
            metrics=generate_latest(self._metrics.registry).decode(),
        )

    async def ListTasks(
        self, request: pb.ListTasksRequest, context: Context
    ) -> pb.ListTasksResponse:
        groups: Counter[tuple[str, tuple[str, ...]]] = Counter()
        for number, task in enumerate(asyncio.all_tasks()):
            if number % 100 == 99:
                await asyncio.sleep(0)
            groups[_function(task), tuple(_stack(task))] += 1
        return pb.ListTasksResponse(
            groups=[
                pb.TaskGroup(function=function, stack=stack, count=count)
                for (function, stack), count in groups.most_common(MOST_GROUPS)
            ]
        )

    async def GetMemory(
        self, request: pb.GetMemoryRequest, context: Context
    ) -> pb.GetMemoryResponse:
        objects, uncounted = _objects()
        types = await _types(objects)
        status = _status()
        return pb.GetMemoryResponse(
            resident_bytes=status.get("VmRSS", 0) * 1024,
            peak_resident_bytes=status.get("VmHWM", 0) * 1024,
            objects=types.total(),
            uncounted_objects=uncounted,
            types=[
                pb.TypeCount(type=f"{kind.__module__}.{kind.__qualname__}", count=count)
                for kind, count in types.most_common(MOST_TYPES)
            ],
        )

    async def ProfileCpu(
        self, request: pb.ProfileCpuRequest, context: Context
    ) -> pb.ProfileCpuResponse:
        seconds = request.seconds or 1
        if seconds > LONGEST_PROFILE_S:
            text = f"seconds is {seconds}, allowed is 1 to {LONGEST_PROFILE_S}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        if self._profiling:
            text = "a profile is under way already: wait until it is done"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        self._profiling, stop = True, threading.Event()
        try:
            result = await asyncio.to_thread(profile, seconds, stop)
        finally:
            # Who does not wait for it any more, or a server that ends, ends it.
            stop.set()
            self._profiling = False
        stacks = [
            pb.StackTime(stack=stack, microseconds=nanoseconds // 1000)
            for stack, nanoseconds in list(result.nanoseconds.items())[:MOST_STACKS]
        ]
        return pb.ProfileCpuResponse(stacks=stacks, samples=result.samples)

    async def SetLogLevel(
        self, request: pb.SetLogLevelRequest, context: Context
    ) -> pb.SetLogLevelResponse:
        before, level = logs.level(), request.level or self._level
        if level not in logs.LEVELS:
            text = f"level is {level!r}, allowed is {', '.join(logs.LEVELS)}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        if request.seconds > LONGEST_LEVEL_S:
            text = f"seconds is {request.seconds}, allowed is up to {LONGEST_LEVEL_S}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        if self._end is not None:
            self._end.cancel()
            self._end = None
        logs.set_level(level)
        if request.seconds:
            loop = asyncio.get_running_loop()
            self._end = loop.call_later(request.seconds, logs.set_level, self._level)
        return pb.SetLogLevelResponse(before=before, level=level)


def _function(task: asyncio.Task[object]) -> str:
    return getattr(task.get_coro(), "__qualname__", "") or type(task.get_coro()).__qualname__


def _stack(task: asyncio.Task[object]) -> Iterator[str]:
    """Where the task waits, without the values of anything: a frame's variables may be secrets.

    `Task.get_stack` knows the outermost coroutine alone; the others are what it awaits.
    """
    awaited: object = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if not isinstance(frame, FrameType):
            return
        file = "/".join(Path(frame.f_code.co_filename).parts[-2:])
        yield f"{file}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)


def _objects() -> tuple[list[object], int]:
    """What the garbage collector follows, and how many more there are that live long.

    These are set apart (see `towpath.garbage`), and listed only where that takes a moment.
    """
    apart, collects = gc.get_freeze_count(), gc.isenabled()
    if not 0 < apart <= MOST_OBJECTS:
        return gc.get_objects(), apart
    gc.disable()  # to look for garbage among them would take long
    try:
        gc.unfreeze()
        objects = gc.get_objects()
        gc.freeze()
    finally:
        if collects:
            gc.enable()
    return objects, 0


async def _types(objects: list[object]) -> Counter[type]:
    """How many objects there are of each type, counted without keeping others waiting."""
    counts: Counter[type] = Counter()
    for begin in range(0, len(objects), _SLICE):
        counts.update(type(one) for one in objects[begin : begin + _SLICE])
        await asyncio.sleep(0)
    return counts


def _status() -> dict[str, int]:
    """What Linux says of the process, in its units; nothing elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.partition(":")[::2] for line in lines)
    numbers = ((name, value.split()) for name, value in fields)
    return {name: int(value[0]) for name, value in numbers if value and value[0].isdecimal()}
