"""A CPU profile by sampling: where threads spent time of the CPU, seen from a thread of its own.

Nothing is traced, so that who is looked at runs as fast as ever. A sample counts for as much CPU
time as its thread has used since the last one: who only waits counts for nothing.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType

INTERVAL_S = 0.01
DEEPEST = 60
"""Calls of a stack that are named, of the innermost."""
MOST_STACKS = 10_000
"""How many different ones are told apart."""
OTHERS = "(other stacks)"


@dataclass(frozen=True, slots=True)
class Profile:
    """Nanoseconds of CPU time by stack (`thread;outer;inner`), and how often was looked."""

    nanoseconds: dict[str, int]
    samples: int


def profile(seconds: float, stop: threading.Event) -> Profile:
    """Look at all other threads for so long, or until *stop* is set; call it in a thread."""
    own, end = threading.get_ident(), time.monotonic() + seconds
    spent: Counter[str] = Counter()
    before: dict[int, int] = {}
    samples = 0
    while time.monotonic() < end and not stop.wait(INTERVAL_S):
        threads = {thread.ident: thread for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():  # noqa: SLF001 (documented for this use)
            thread = threads.get(ident)
            if ident == own or thread is None or thread.native_id is None:
                continue
            used = _cpu_ns(thread.native_id)
            if (delta := used - before.get(ident, used)) > 0:
                stack = ";".join((thread.name, *_calls(frame)))
                spent[stack if stack in spent or len(spent) < MOST_STACKS else OTHERS] += delta
            before[ident] = used
        samples += 1
    return Profile(dict(spent.most_common()), samples)


def _calls(frame: FrameType | None) -> list[str]:
    """The functions of a stack, the outermost first."""
    calls: list[str] = []
    while frame is not None and len(calls) < DEEPEST:
        calls.append(_name(frame.f_code))
        frame = frame.f_back
    return calls[::-1]


def _name(code: CodeType) -> str:
    return f"{code.co_qualname} ({'/'.join(Path(code.co_filename).parts[-2:])})"


def _cpu_ns(native_id: int) -> int:
    """CPU time of a thread of this process; 0 where the system does not say, or it has ended."""
    try:
        text = Path(f"/proc/self/task/{native_id}/schedstat").read_text()
    except OSError:
        return 0
    return int(text.split()[0])


def collapsed(profile_: Profile) -> Iterator[str]:
    """Lines `STACK MICROSECONDS`, as tools for flame graphs read them."""
    for stack, nanoseconds in profile_.nanoseconds.items():
        yield f"{stack} {nanoseconds // 1000}"
