"""Garbage: when Python looks for objects that only refer to each other, which holds everybody.

Nearly all objects are freed as the last reference to them goes. To find the others CPython looks at
every object that may refer to some: with 5,000 sidecars that takes about a second. So what has
outlived two looks is set apart, as `gc.freeze` does, and looked at again only when the process has
grown by more than what its streams need, as it would if there was garbage in it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

THRESHOLDS = (2_000, 5, 10)
"""New objects before a look at them, such looks before one at what outlived them, and so on. The
second looks at 10,000 objects at most, which takes some milliseconds.
"""

INTERVAL_S = 30.0
"""Between two looks at the size of the process."""

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

    async def run(self) -> None:
        """Look at the size of the process now and then; without it, leave all to Python."""
        if not self._resident():
            return
        self._before = self._size()
        thresholds = gc.get_threshold()
        gc.set_threshold(*THRESHOLDS)
        gc.callbacks.append(_set_apart)
        try:
            while True:
                await asyncio.sleep(self._interval_s)
                self.look()
        finally:
            gc.callbacks.remove(_set_apart)
            gc.set_threshold(*thresholds)
            gc.unfreeze()

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
        self._before = self._size()
        text = "looked for garbage everywhere: %d objects were, in %d ms"
        log.info(text, count, (time.monotonic() - began) * 1000)

    def _size(self) -> int:
        """In bytes, but for what streams need."""
        return max(self._resident() - self._streams() * BYTES_OF_STREAM, 0)


def _set_apart(phase: str, info: dict[str, int]) -> None:
    """Python's call at both ends of each of its looks."""
    if phase == "stop" and info["generation"] > 0:
        gc.freeze()
