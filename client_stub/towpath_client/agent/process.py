"""Which process a pid file is of: a number that is free again is given to another process."""

from __future__ import annotations

import os
import time
from pathlib import Path

_SLACK_S = 2.0
"""Clocks of files and of processes have different steps, and are set anew while they run."""


def process_of(pid_file: Path) -> int | None:
    """The number in the file, if there is such a process, whatever it is."""
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        return None
    if pid <= 0:
        return None  # to `kill` these are groups of processes
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        return pid  # it is there, but another user's
    return pid


def why_another(pid: int, pid_file: Path) -> str:
    """Why the process is not the one that the file was written for; "" if that cannot be told.

    That one had begun before. One that began later is Pipy all the same if it is called so: then
    it was started again, or the clock was set in between.
    """
    try:
        name, began = _name_and_start(pid)
        late = began - pid_file.stat().st_mtime
    except (OSError, ValueError):
        return ""
    if late <= _SLACK_S or "pipy" in name:
        return ""
    return (
        f"process {pid} is not Pipy: it is called {name!r}, and began {late:.0f} s after "
        f"{pid_file} was written"
    )


def _name_and_start(pid: int) -> tuple[str, float]:
    """What the kernel says of a process: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
    head, _, tail = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    since_boot = int(tail.split()[19]) / os.sysconf("SC_CLK_TCK")
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return head.partition("(")[2], booted + since_boot
