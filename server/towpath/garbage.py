"""Garbage: when Python looks for objects that only refer to each other, which holds everybody.

Nearly all objects are freed as the last reference to them goes. To find the others CPython looks at
every object that may refer to some: with 5,000 sidecars that takes about a second. So whenever many
new objects have come to stay, they are looked at once more and then set apart, as `gc.freeze` does.
What is set apart is looked at again only when the process has grown by more than what its streams
need, as it would if there was garbage in it.
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

log = logging.getLogger(__name__)

THRESHOLDS = (2_000, 5, 1_000_000)
"""New objects before a look at them, and such looks before one at what outlived them, at 10,000
objects at most; looks at the rest are made here.
"""

MOST_LOOKS = 10
"""Looks at what outlived a first one, before what is left is set apart: 100,000 objects at most,
which takes about 20 ms.
"""

INTERVAL_S = 2.0
"""Between two looks at what is not set apart, if there was anything new, and at the size of the
process.
"""

BYTES_OF_STREAM = 64 << 10
"""What an open stream needs, about; that does not count as growth."""

GROWTH = 1.5
"""Everything is looked at once the process is so many times as large as after the last such look, …
"""

LEAST_GROWTH_BYTES = 64 << 20
"""… and larger by so much."""

_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """How much memory the process has now; 0 where the system does not say it as Linux does."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class GarbageCollection:
    """Sets apart what lives long, until it is cancelled; *resident* gives bytes, and *streams* how
    many are open.
    """

    def __init__(
        self,
        *,
        streams: Callable[[], int],
        resident: Callable[[], int] = resident_bytes,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._streams = streams
        self._resident = resident
        self._interval_s = interval_s
        self._before = 0  # bytes but for streams, after the last look at everything
        self._looks = 0  # at what outlived a first one, since something was set apart
        self._looks_before = 0  # when what is not set apart was looked at last
        self._many = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """Look now and then; where the process does not know its size, leave all to Python."""
        if not self._resident():
            return
        self._before = self._size()
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
        """Look for garbage everywhere if the process has grown."""
        now = self._size()
        # What has shrunk and grows again has grown.
        self._before = min(self._before, now)
        if now < max(self._before * GROWTH, self._before + LEAST_GROWTH_BYTES):
            return
        began = time.monotonic()
        gc.unfreeze()
        count = gc.collect()
        gc.freeze()
        self._looks = self._looks_before = 0
        self._before = self._size()
        text = "looked for garbage everywhere: %d objects were, in %d ms"
        log.info(text, count, (time.monotonic() - began) * 1000)

    def _note(self, phase: str, info: dict[str, int]) -> None:
        """Python's call at both ends of each of its looks."""
        if phase == "stop" and info["generation"] == 1:
            self._looks += 1
            if self._looks == MOST_LOOKS and self._loop is not None:
                # It may be any thread's call.
                self._loop.call_soon_threadsafe(self._many.set)

    def _size(self) -> int:
        """In bytes, but for what streams need."""
        return max(self._resident() - self._streams() * BYTES_OF_STREAM, 0)
