"""The clients of the data-plane tests: curl for what a person sees, probes for milliseconds."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from support.dataplane.netns import Namespace
from support.dataplane.wait import WITHIN_S, NotReachedError, until

Address = tuple[str, int]
ANSWER_WITHIN_S = 15.0
_STEADY_CLIENTS = 4
_REQUEST = b"GET / HTTP/1.1\r\nhost: probe.test\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Curl:
    """How one curl ended; `status` is 0 without an HTTP answer."""

    exit_code: int
    status: int
    seconds: float
    body: str
    error: str


def curl(pod: Namespace, url: str, *options: str) -> Curl:
    """Run curl in *pod*, as the application would."""
    command = curl_command(url, *options)
    done = pod.run(*command)
    body, _, figures = done.stdout.rpartition("\n")
    status, seconds = figures.split()
    return Curl(done.returncode, int(status), float(seconds), body, done.stderr.strip())


def curl_until(
    pod: Namespace,
    url: str,
    *options: str,
    exits: int | Sequence[int] = 0,
    status: int = 0,
    context: Callable[[], str] = lambda: "",
) -> Curl:
    """Call until the outcome is the wanted one; NotReachedError says what it was instead."""
    codes = (exits,) if isinstance(exits, int) else tuple(exits)
    return until(
        lambda: curl(pod, url, *options),
        lambda seen: seen.exit_code in codes and seen.status == status,
        what=f"curl {url} exits with {codes} and HTTP status {status}",
        context=context,
    )


def curl_command(url: str, *options: str) -> tuple[str, ...]:
    """The command that `curl` runs: quiet, with a deadline, and with its figures printed last."""
    return (
        *("curl", "--silent", "--show-error", "--noproxy", "*"),
        *("--max-time", str(ANSWER_WITHIN_S), "--write-out", r"\n%{http_code} %{time_total}"),
        *options,
        url,
    )


class Outcome(StrEnum):
    """What became of one new connection with one HTTP request on it."""

    ANSWERED = "answered"
    DENIED = "denied"
    """Answered with another HTTP status than 200."""
    REFUSED = "refused"
    """Nobody listens: the connection did not come about."""
    CUT = "cut"
    """Accepted, then closed or reset without an answer."""
    SILENT = "silent"
    """Neither an answer nor an end in time."""


async def probe(pod: Namespace, address: Address) -> Outcome:
    """Open one connection, send one HTTP request, and wait for an answer's status."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await _ask(pod, address)
    except TimeoutError:
        return Outcome.SILENT


async def until_outcome(
    pod: Namespace, address: Address, wanted: Outcome, *, within_s: float = WITHIN_S
) -> float:
    """Probe until a new connection has that outcome, and return the moment (perf_counter)."""
    deadline = time.perf_counter() + within_s
    while (seen := await probe(pod, address)) is not wanted:
        if time.perf_counter() > deadline:
            raise NotReachedError(f"after {within_s:g} s {address} is {seen}, not {wanted}")
        await asyncio.sleep(0)
    return time.perf_counter()


@dataclass(slots=True)
class Tally:
    """How many connections were opened, and what became of them."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)

    @property
    def opened(self) -> int:
        return self.outcomes.total()

    @property
    def lost(self) -> int:
        return self.opened - self.outcomes[Outcome.ANSWERED]


@asynccontextmanager
async def steady_calls(pod: Namespace, address: Address) -> AsyncIterator[Tally]:
    """Open new connections to *address* all the time, several at once, until the block ends."""
    tally, ending = Tally(), asyncio.Event()

    async def call() -> None:
        while not ending.is_set():
            tally.outcomes[await probe(pod, address)] += 1

    async with asyncio.TaskGroup() as calls:
        for _ in range(_STEADY_CLIENTS):
            calls.create_task(call())
        try:
            yield tally
        finally:
            ending.set()


def greeting(pod: Namespace, address: Address) -> bytes:
    """What a client that says nothing is told first; nothing if it is cut."""
    with pod.connect(*address) as connection:
        try:
            return connection.recv(100)
        except ConnectionError:
            return b""


def greeted_after(pod: Namespace, address: Address) -> float:
    """Milliseconds until a greeting comes to a client that says nothing.

    Of ten clients the least, as the machine may be busy; ConnectionError if one hears nothing.
    """
    figures = []
    for _ in range(10):
        started = time.perf_counter()
        if not greeting(pod, address):
            raise ConnectionError(f"no greeting from {address}")
        figures.append((time.perf_counter() - started) * 1000)
    return min(figures)


async def _ask(pod: Namespace, address: Address) -> Outcome:
    try:
        reader, writer = await pod.open_connection(*address)
    except ConnectionRefusedError:
        return Outcome.REFUSED
    except ConnectionError:
        return Outcome.CUT
    try:
        writer.write(_REQUEST)
        status_line = await reader.readline()
    except ConnectionError:
        return Outcome.CUT
    finally:
        writer.transport.abort()
    if not status_line:
        return Outcome.CUT
    return Outcome.ANSWERED if b" 200 " in status_line else Outcome.DENIED
