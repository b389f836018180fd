"""The Pipy process: started here, or found by its pid file, or reached by a command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from towpath_client.agent.outcome import Lines, Outcome

CHUNK = 65536
POLL_S = 0.02
START_S = 1.0
"""How long a Pipy that prints nothing is given until it is taken to have started."""
UNCERTAIN_S = 0.5
"""After a reload of which nothing was heard, its late word must not be taken for the next one's."""


class Pipy(ABC):
    """Whoever makes Pipy read its file again; *timeout* is for a reload's outcome, in seconds.

    *settle* is how long a reload's last word is waited for, in seconds.
    """

    def __init__(self, *, timeout: float, settle: float) -> None:
        self._timeout = timeout
        self._settle = settle
        self._uncertain = False

    @property
    @abstractmethod
    def running(self) -> bool:
        """True if there is a process, as far as can be known."""

    @abstractmethod
    async def reload(self) -> Outcome:
        """Make it read the file, and wait for what comes of it."""

    async def start(self) -> None:
        """Begin with the file as it is; somebody else's process needs no beginning."""
        return

    @abstractmethod
    async def nudge(self) -> None:
        """Make it read the file once more, whatever comes of it."""

    def forward(self, number: int) -> bool:  # noqa: ARG002 (who has a process, hands it on)
        """Hand a signal on; False if there is no process of ours."""
        return False

    async def ended(self) -> int:
        """Wait for the end of a process of ours; gives its exit status."""
        never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        return await never

    async def _heard(self, lines: Lines) -> Outcome:
        settle = max(self._settle, UNCERTAIN_S) if self._uncertain else self._settle
        verdict = await lines.verdict(within=self._timeout, settle=settle)
        self._uncertain = verdict is None
        if verdict is None:
            text = f"no word of a reload within {self._timeout:g} s; last lines: {lines.last}"
            return Outcome(accepted=False, reason=text, known=False)
        return Outcome(accepted=verdict, reason="" if verdict else lines.last)


class Child(Pipy):
    """A process of our own, started once there is a file for it; its output is ours too."""

    def __init__(self, argv: Sequence[str], *, timeout: float, settle: float) -> None:
        super().__init__(timeout=timeout, settle=settle)
        self._argv = tuple(argv)
        self._lines = Lines()
        self._process: asyncio.subprocess.Process | None = None
        self._exit: asyncio.Task[int] | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._begun = asyncio.Event()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._argv, stdout=pipe, stderr=pipe)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        # One wait for all: a cancelled `Process.wait` stays in its process's list for ever.
        self._exit = asyncio.create_task(_status(self._process))
        self._pumps = [
            asyncio.create_task(self._pump(self._process.stdout, sys.stdout.buffer)),
            asyncio.create_task(self._pump(self._process.stderr, sys.stderr.buffer)),
        ]
        self._begun.set()
        await self._started()

    async def reload(self) -> Outcome:
        """The first time it is started: then it is accepted if it lives a moment."""
        if self._exit is not None and self._exit.done():
            await asyncio.Event().wait()  # it ended by itself: that is no word on a configuration
        self._lines.begin()
        if self._process is None:
            try:
                await self.start()
            except OSError as error:
                return Outcome(accepted=False, reason=f"{self._argv[0]}: {error}")
            hearing = asyncio.create_task(self._lived())
        else:
            hearing = asyncio.create_task(self._told())
        try:
            assert self._exit is not None
            await asyncio.wait({hearing, self._exit}, return_when=asyncio.FIRST_COMPLETED)
            if not self._exit.done():
                return hearing.result()
            await asyncio.gather(*self._pumps)
            status = self._exit.result()
            text = f"Pipy ended with status {status}; last lines: {self._lines.last}"
            return Outcome(accepted=False, reason=text, ended=status)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def nudge(self) -> None:
        self.forward(signal.SIGHUP)

    def forward(self, number: int) -> bool:
        if self._process is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        return True

    async def ended(self) -> int:
        await self._begun.wait()
        assert self._exit is not None
        await asyncio.wait({self._exit})
        return self._exit.result()

    async def _told(self) -> Outcome:
        self.forward(signal.SIGHUP)
        return await self._heard(self._lines)

    async def _lived(self) -> Outcome:
        await asyncio.sleep(self._settle * 10)
        return Outcome(accepted=True)

    async def _started(self) -> None:
        """Until then SIGHUP would end it, and another file would be read than the one it is for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                await self._lines.any.wait()

    async def _pump(self, source: asyncio.StreamReader, target: BinaryIO) -> None:
        while data := await source.read(CHUNK):
            target.write(data)
            target.flush()
            self._lines.feed(data)


class ByPidFile(Pipy):
    """A process of somebody else's; what it logs is read if it logs to a file."""

    def __init__(
        self, pid_file: Path, log_file: Path | None, *, timeout: float, settle: float
    ) -> None:
        super().__init__(timeout=timeout, settle=settle)
        self._pid_file = pid_file
        self._log_file = log_file

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
        if not started and (reason := _tell(pid)):
            return Outcome(accepted=False, reason=reason)
        await asyncio.sleep(self._settle * 10)
        if self._pid() == pid:
            return Outcome(accepted=True)
        return Outcome(accepted=False, reason=f"Pipy, process {pid}, ended")

    async def nudge(self) -> None:
        pid = self._pid()
        if pid is not None:
            _tell(pid)

    async def _by_log(self, pid: int, log_file: Path) -> Outcome:
        lines = Lines()
        at = _size(log_file)
        if reason := _tell(pid):
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
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            return pid  # it is there, but another user's
        return pid


class ByCommand(Pipy):
    """A command that makes Pipy read its file, and exits with 0 once it has."""

    def __init__(self, argv: Sequence[str], *, timeout: float, settle: float) -> None:
        super().__init__(timeout=timeout, settle=settle)
        self._argv = tuple(argv)

    @property
    def running(self) -> bool:
        return True

    async def reload(self) -> Outcome:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            return Outcome(accepted=False, reason=f"{self._argv[0]}: {error}")
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
            text = f"{self._argv[0]} did not end within {self._timeout:g} s; {lines.last}"
            return Outcome(accepted=False, reason=text, known=False)
        lines.feed(b"\n")
        if status == 0:
            return Outcome(accepted=True)
        return Outcome(accepted=False, reason=f"{self._argv[0]} exited with {status}: {lines.last}")

    async def nudge(self) -> None:
        await self.reload()


async def _status(process: asyncio.subprocess.Process) -> int:
    """As a shell says it: 128 and the signal's number for one that a signal ended."""
    status = await process.wait()
    return status if status >= 0 else 128 - status


def _tell(pid: int) -> str:
    """Send SIGHUP; gives why that cannot be, "" if it was sent."""
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        return f"process {pid} cannot be told to reload: {error.strerror}"
    return ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
