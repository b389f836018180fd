"""Garbage: when Python looks for objects that only refer to each other, which holds everybody.

Nearly all objects are freed as the last reference to them goes. To find the others CPython looks at
every object that may refer to some: with 5,000 sidecars that takes about a second. So whenever many
new objects have come to stay, they are looked at once more and then set apart, as `gc.freeze` does.
What is set apart is looked at again only when the process has grown as it would if there was
garbage in it: by more than its streams may need, or when so many have ended, or so much garbage was
found elsewhere, that it may be due to these.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)

THRESHOLDS = (2_000, 5, 1_000_000)
"""New objects before a look at them, and such looks before one at what outlived them, at 10,000
objects at most; looks at the rest are made here.
"""

MOST_LOOKS = 3
"""Looks at what outlived a first one, before what is left is set apart: 30,000 objects at most,
which takes about 10 ms, and three times as long on a machine that is busy.
"""

INTERVAL_S = 2.0
"""Between two looks at what is not set apart, if there was anything new, and at the size of the
process.
"""

BYTES_OF_STREAM = 64 << 10
"""What an open stream needs at least; that does not count as growth."""

MOST_BYTES_OF_STREAM = 256 << 10
"""What it needs at the most, over mutual TLS and in a large mesh: so much may be garbage of one
that has ended, …
"""

BYTES_OF_OBJECT = 1 << 10
"""… and so much may be in use of an object that was garbage, and found: its like may not be."""

GROWTH = 1.5
"""Everything is looked at once the process is so many times as large as after the last such look, …
"""

LEAST_GROWTH_BYTES = 64 << 20
"""… and larger by so much."""

OPENING = 1.02
"""There is no look as long as the number of streams grows by so much between two times that this is
asked: a mesh connects, and what the process grows by is mostly its.
"""

_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """How much memory the process has now; 0 where the system does not say it as Linux does."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class Streams(Protocol):
    """Those that are open, and how many have ended, ever."""

    ended: int

    def __len__(self) -> int: ...


class GarbageCollection:
    """Sets apart what lives long, until it is cancelled; *resident* gives bytes."""

    def __init__(
        self,
        streams: Streams,
        *,
        resident: Callable[[], int] = resident_bytes,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._streams = streams
        self._resident = resident
        self._interval_s = interval_s
        # Since the last look at everything:
        self._growth = Growth(BYTES_OF_STREAM)
        self._least_growth = Growth(MOST_BYTES_OF_STREAM)
        self._ended_before = 0
        self._garbage = 0  # objects
        self._open = 0  # streams, when it was last asked whether to look
        self._looks = 0  # at what outlived a first one, since something was set apart
        self._looks_before = 0  # when what is not set apart was looked at last
        self._many = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """Look now and then; where the process does not know its size, leave all to Python."""
        if not self._resident():
            return
        self._begin()
        self._loop = asyncio.get_running_loop()
        thresholds = gc.get_threshold()
        gc.set_threshold(*THRESHOLDS)
        gc.callbacks.append(self._note)
        gc.freeze()  # what the program itself consists of
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._interval_s):
                        await self._many.wait()
                self.settle()
                self.look()
        finally:
            gc.callbacks.remove(self._note)
            gc.set_threshold(*thresholds)
            gc.unfreeze()

    def settle(self) -> None:
        """Look at what is not set apart, if there is anything new; set it apart if it is much."""
        if self._looks != self._looks_before:
            gc.collect()
        if self._looks >= MOST_LOOKS:
            gc.freeze()
            self._looks = 0
        self._looks_before = self._looks
        self._many.clear()

    def look(self) -> None:
        """Look for garbage everywhere if the process has grown, and that may be garbage."""
        now = self._resident(), len(self._streams)
        growth, least_growth = self._growth.of(*now), self._least_growth.of(*now)
        before, self._open = self._open, now[1]
        if now[1] > before * OPENING:
            return
        ended = self._streams.ended - self._ended_before
        garbage = ended * MOST_BYTES_OF_STREAM + self._garbage * BYTES_OF_OBJECT
        if not least_growth and not (growth and garbage >= growth // 2):
            return
        began = time.monotonic()
        gc.unfreeze()
        count = gc.collect()
        gc.freeze()
        self._looks = self._looks_before = 0
        self._begin()
        text = "looked for garbage everywhere: %d objects were, in %d ms"
        log.info(text, count, (time.monotonic() - began) * 1000)

    def _begin(self) -> None:
        """Everything has been looked at."""
        now = self._resident(), len(self._streams)
        self._growth.begin(*now)
        self._least_growth.begin(*now)
        self._ended_before, self._garbage = self._streams.ended, 0

    def _note(self, phase: str, info: dict[str, int]) -> None:
        """Python's call at both ends of each of its looks."""
        if phase != "stop":
            return
        self._garbage += info["collected"]
        if info["generation"] == 1:
            self._looks += 1
            if self._looks == MOST_LOOKS and self._loop is not None:
                # It may be any thread's call.
                self._loop.call_soon_threadsafe(self._many.set)


class Growth:
    """By how much a process has grown, but for so many bytes of each open stream."""

    def __init__(self, bytes_of_stream: int) -> None:
        self._bytes_of_stream = bytes_of_stream
        self._before = 0

    def begin(self, resident: int, streams: int) -> None:
        """From now on."""
        self._before = self._size(resident, streams)

    def of(self, resident: int, streams: int) -> int:
        """In bytes; 0 if it is not much."""
        now = self._size(resident, streams)
        # What has shrunk and grows again has grown.
        self._before = min(self._before, now)
        much = max(self._before * GROWTH, self._before + LEAST_GROWTH_BYTES)
        return now - self._before if now >= much else 0

    def _size(self, resident: int, streams: int) -> int:
        return max(resident - streams * self._bytes_of_stream, 0)
