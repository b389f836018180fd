"""A program whose life is bound to ours: it is killed when the process that began it ends.

    python bound.py PID PROGRAM ARGUMENT...

becomes the program, after telling the kernel that it is to be killed with its parent, process PID.
A Pipy that nobody can tell of a revocation must not go on.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def bound(argv: Sequence[str]) -> tuple[str, ...]:
    """The command that runs *argv* so; *argv* itself where the kernel is another."""
    if sys.platform != "linux":
        return tuple(argv)
    return (sys.executable, "-I", "-S", __file__, str(os.getpid()), *argv)


def become(parent: int, argv: Sequence[str]) -> None:
    """Be killed with *parent*, and be *argv* from here on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        return  # it ended before that
    os.execvp(argv[0], list(argv))  # noqa: S606 (as it was given, without a shell)


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
