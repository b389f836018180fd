"""A limit of the CPU time that a test may take, which holds however busy the machine is."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

import pytest


@contextlib.contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """The test fails that takes more CPU time within, in all threads of this process."""

    def fail(_signal: int, _frame: FrameType | None) -> None:
        pytest.fail(f"it took more than {seconds:g} s of CPU time")

    before = signal.signal(signal.SIGPROF, fail)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
