"""What a call may have of the server before its method has seen it: time, bytes, company."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

import grpc

from towpath.access.caller import Context

REQUEST_WAIT_S = 10.0
"""How long a method's one request may take to come."""
MOST_CALLS = 64
"""Of one address at once, to other methods than sidecars'."""
READ_AT_ONCE = 2
"""Of one address: requests that are read of such calls."""
Method = Callable[[AsyncIterator[bytes], Context], Awaitable[Any]]
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


async def each(
    context: Context,
    *,
    decode: Callable[[bytes], Any],
    largest: int | None,
) -> AsyncIterator[Any]:
    """The requests of a call, decoded; the call ends at one of more than *largest* bytes.

    gRPC's own iterator would keep the last one beyond the call, until garbage is collected.
    """
    while (data := await context.read()) is not grpc.aio.EOF:
        if largest is not None and len(data) > largest:
            text = f"a request of {len(data):,} bytes: this method takes at most {largest:,}"
            await context.abort(EXHAUSTED, text)
        yield decode(data)


def released(method: Method) -> Method:
    """*method*, which when it aborts a call leaves nothing of it behind.

    The call keeps what was raised, that keeps each frame which it went through, and they keep the
    call, with the last request that has come: until a rare collection of garbage.
    """

    async def call(requests: AsyncIterator[bytes], context: Context) -> Any:
        try:
            return await method(requests, context)
        except grpc.aio.AbortError as error:
            del requests, context
            error.__context__ = None
            raise error.with_traceback(None)  # noqa: B904 - it is the same

    return call


async def only(requests: AsyncIterator[Any], context: Context) -> Any:
    """The one request of a call that has one; the call ends if it does not come soon."""
    try:
        async with asyncio.timeout(REQUEST_WAIT_S):
            return await anext(requests)
    except StopAsyncIteration:
        status, text = grpc.StatusCode.INVALID_ARGUMENT, "this method takes one request"
    except TimeoutError:
        text = f"no request has come within {REQUEST_WAIT_S:g} s"
        status = grpc.StatusCode.DEADLINE_EXCEEDED
    return await context.abort(status, text)


class Calls:
    """Counts the calls that are open, by address, and those of them that wait for their request."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def turn(self, context: Context) -> asyncio.Semaphore:
        """What to hold while a request is read, which may be large before it is known to be."""
        return self._turns.setdefault(_host(context), asyncio.Semaphore(READ_AT_ONCE))

    @asynccontextmanager
    async def one_more(self, context: Context) -> AsyncIterator[None]:
        """A call that ends if its address has too many."""
        host = _host(context)
        if self._open[host] >= MOST_CALLS:
            text = f"{MOST_CALLS} calls are open from {host} already, which is the limit"
            await context.abort(EXHAUSTED, text)
        self._open[host] += 1
        try:
            yield
        finally:
            self._open[host] -= 1
            if not self._open[host]:
                del self._open[host]


def _host(context: Context) -> str:
    return context.peer().rpartition(":")[0]
