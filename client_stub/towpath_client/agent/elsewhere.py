"""A Pipy that runs elsewhere: found by its pid file, or reached by a command."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from towpath_client.agent.outcome import Lines, Outcome
from towpath_client.agent.pipy import CHUNK, Pipy
from towpath_client.agent.process import process_of, why_another

log = logging.getLogger(__name__)

POLL_S = 0.02


class ByPidFile(Pipy):
    """A process of somebody else's; what it logs is read if it logs to a file."""

    def __init__(
        self, pid_file: Path, log_file: Path | None, *, timeout: float, settle: float
    ) -> None:
        super().__init__(timeout=timeout, settle=settle)
        self._pid_file = pid_file
        self._log_file = log_file
        self._another: int | None = None  # a process that is not Pipy, and was logged

    @property
    def running(self) -> bool:
        return self._pid() is not None

    async def reload(self) -> Outcome:
        """A process that is not there yet will read the file when it starts."""
        started = False
        while (pid := self._pid()) is None:
            started = True
            await asyncio.sleep(POLL_S)
        if self._log_file is not None and not started:
            return await self._by_log(pid, self._log_file)
        if not started and (reason := _send(pid, signal.SIGHUP)):
            return Outcome(accepted=False, reason=reason)
        await asyncio.sleep(self._settle * 10)
        if self._pid() == pid:
            return Outcome(accepted=True)
        # Another in its place may have begun with this file.
        return Outcome(accepted=False, reason=f"Pipy, process {pid}, ended", known=False)

    async def stop(self) -> tuple[str, int | None]:
        pid = process_of(self._pid_file)
        if pid is None:
            return "", None
        return why_another(pid, self._pid_file) or _send(pid, signal.SIGKILL), None

    async def _by_log(self, pid: int, log_file: Path) -> Outcome:
        lines = Lines()
        at = _size(log_file)
        if reason := _send(pid, signal.SIGHUP):
            return Outcome(accepted=False, reason=reason)
        following = asyncio.create_task(self._follow(log_file, at, lines))
        try:
            return await self._heard(lines)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow(self, log_file: Path, at: int, lines: Lines) -> None:
        while True:
            with contextlib.suppress(FileNotFoundError), log_file.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(at if at <= size else 0)  # shorter: it was begun anew
                while data := file.read(CHUNK):
                    lines.feed(data)
                at = file.tell()
            await asyncio.sleep(POLL_S)

    def _pid(self) -> int | None:
        pid = process_of(self._pid_file)
        another = "" if pid is None else why_another(pid, self._pid_file)
        if another and pid != self._another:
            log.error("%s; it is sent no signal", another)
        self._another = pid if another else None
        return None if another else pid


class ByCommand(Pipy):
    """A command that makes Pipy read its file, and exits with 0 once it has; *stop* ends Pipy."""

    def __init__(
        self, argv: Sequence[str], *, stop: Sequence[str] = (), timeout: float, settle: float
    ) -> None:
        super().__init__(timeout=timeout, settle=settle)
        self._argv = tuple(argv)
        self._stop = tuple(stop)

    @property
    def running(self) -> bool:
        return True

    async def reload(self) -> Outcome:
        return await self._run(self._argv)

    async def stop(self) -> tuple[str, int | None]:
        if not self._stop:
            return "there is no --stop-command", None
        return (await self._run(self._stop)).reason, None

    async def _run(self, argv: tuple[str, ...]) -> Outcome:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            return Outcome(accepted=False, reason=f"{argv[0]}: {error}")
        lines = Lines()
        try:
            async with asyncio.timeout(self._timeout):
                assert process.stdout is not None
                while data := await process.stdout.read(CHUNK):
                    lines.feed(data)
                status = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            text = f"{argv[0]} did not end within {self._timeout:g} s; {lines.last}"
            return Outcome(accepted=False, reason=text, known=False)
        lines.feed(b"\n")
        if status == 0:
            return Outcome(accepted=True)
        return Outcome(accepted=False, reason=f"{argv[0]} exited with {status}: {lines.last}")


def _send(pid: int, number: signal.Signals) -> str:
    """Send a signal; gives why that cannot be, "" if it was sent."""
    try:
        os.kill(pid, number)
    except OSError as error:
        return f"process {pid} cannot be sent {number.name}: {error.strerror}"
    return ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
