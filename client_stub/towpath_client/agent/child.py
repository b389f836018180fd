"""A Pipy that is started here."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from typing import BinaryIO, ClassVar

from towpath_client.agent.bound import bound
from towpath_client.agent.outcome import Lines, Outcome
from towpath_client.agent.pipy import CHUNK, Pipy

START_S = 5.0
"""How long a Pipy that prints nothing is given until it is taken to have started."""
SIGNALLED = 128
ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
"""Signals of which a program ends, though not always at once."""


class Child(Pipy):
    """A process of our own, started once there is a file for it; its output is ours too.

    It ends with us, however we end: nobody else would tell it of what comes later.
    """

    own: ClassVar[bool] = True

    def __init__(self, argv: Sequence[str], *, timeout: float, settle: float) -> None:
        super().__init__(timeout=timeout, settle=settle)
        self._argv = tuple(argv)
        self._lines = Lines()
        self._process: asyncio.subprocess.Process | None = None
        self._exit: asyncio.Task[int] | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._begun = asyncio.Event()
        self._forwarded: set[int] = set()

    @property
    def stopping(self) -> bool:
        """True for a signal that always ends it, and for another one that it did end of."""
        if self._forwarded & ENDING:
            return True
        if self._exit is None or not self._exit.done():
            return False
        return self._exit.result() - SIGNALLED in self._forwarded

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *bound(self._argv), stdout=pipe, stderr=pipe
        )
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
            if self.stopping:
                await asyncio.Event().wait()
            await asyncio.gather(*self._pumps)
            status = self._exit.result()
            text = f"Pipy ended with status {status}; last lines: {self._lines.last}"
            return Outcome(accepted=False, reason=text, ended=status)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def stop(self) -> tuple[str, int | None]:
        if self._process is None:
            return "", None
        self._send(signal.SIGKILL)
        return "", await self.ended()

    def forward(self, number: int) -> bool:
        if self._process is None:
            return False
        self._forwarded.add(number)
        self._send(number)
        return True

    async def ended(self) -> int:
        await self._begun.wait()
        assert self._exit is not None
        await asyncio.wait({self._exit})
        return self._exit.result()

    def _send(self, number: int) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _told(self) -> Outcome:
        self._send(signal.SIGHUP)
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


async def _status(process: asyncio.subprocess.Process) -> int:
    """As a shell says it: 128 and the signal's number for one that a signal ended."""
    status = await process.wait()
    return status if status >= 0 else SIGNALLED - status
