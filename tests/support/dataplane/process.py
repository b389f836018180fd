"""A child process in a network namespace, with its output in files; it dies with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.dataplane.netns import Namespace

LOG_LINES = 20
STOP_WITHIN_S = 30.0


class Process:
    """One command that may be started, ended and started again.

    `out` and `log` collect standard output and standard error over all its lives. Start it from
    the main thread: the kernel ends it when the *thread* that started it ends.
    """

    def __init__(
        self,
        namespace: Namespace,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        uid: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.out = folder / f"{name}.out"
        self.log = folder / f"{name}.log"
        self._command = _as(uid, *command)
        self._environment = None if environment is None else {**os.environ, **environment}
        self._uid = uid
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.out.open("ab") as out, self.log.open("ab") as log:
            if self._uid is not None:
                # It may open /dev/stdout again, which needs the right to write to the file.
                os.fchown(out.fileno(), self._uid, -1)
                os.fchown(log.fileno(), self._uid, -1)
            self._child = subprocess.Popen(
                self.namespace.command(*self._command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env=self._environment,
            )

    @property
    def pid(self) -> int:
        """Of the command itself: what runs it in the namespace becomes it."""
        assert self._child is not None, f"{self.name} was not started"
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs, or before its first start."""
        return None if self._child is None else self._child.poll()

    def check_alive(self) -> None:
        """RuntimeError with the last log lines if it has ended by itself."""
        if self._child is not None and self._child.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self._child.returncode}\n{self.tail()}")

    def stop(self) -> int:
        """End it politely, by force if it does not listen, and return its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """End it without a chance to say goodbye."""
        return self._end(signal.SIGKILL)

    def tail(self) -> str:
        """Its last log lines, under its name."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"--- {self.name} ({self.log}):", *lines[-LOG_LINES:]])

    def _end(self, how: signal.Signals) -> int:
        child, self._child = self._child, None
        if child is None:
            return 0
        child.send_signal(how)
        try:
            return child.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


def _as(uid: int | None, *command: str) -> list[str]:
    """*command* as another user, and such that it is killed when its parent ends."""
    user = [] if uid is None else [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    return ["setpriv", *user, "--pdeathsig", "KILL", "--", *command]
