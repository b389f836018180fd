"""Subscription: the updates of one resource type, as its reader sees them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable

from towpath_client.exchange import Exchange, Request, Response
from towpath_client.update import Update


class Subscription:
    """An async iterator over the updates of one type, for one reader.

    It ends when it or its client is closed, and raises SubscriptionRefused if the server refuses.
    """

    def __init__(self, exchange: Exchange, send: Callable[[Iterable[Request]], None]) -> None:
        self._exchange = exchange
        self._send = send
        self._wake = asyncio.Event()
        self._failure: Exception | None = None
        self._closed = False
        self._taker: asyncio.Task[object] | None = None  # of the update in hand

    @property
    def type_url(self) -> str:
        return self._exchange.type_url

    @property
    def names(self) -> tuple[str, ...]:
        """The names asked for; "*" stands for all that there are."""
        return self._exchange.names

    @property
    def closed(self) -> bool:
        return self._closed

    def change_names(self, names: Iterable[str]) -> None:
        """Ask for exactly these names from now on; there may be none.

        Resources of other names are dropped at once; no update lists them as removed.
        """
        if self._closed:
            raise RuntimeError(f"the subscription to {self.type_url} is closed")
        self._send(self._exchange.rename(checked_names(names)))

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Update:
        """Accept the update in hand, then wait for the next."""
        if self._exchange.in_hand is not None and not self._closed:
            self._answer(self._exchange.in_hand.update, None)
        while not self._closed:
            self._wake.clear()
            requests, update = self._exchange.take(self._answer)
            self._send(requests)
            if update is not None:
                self._taker = asyncio.current_task()
                return update
            if self._failure is not None:
                raise self._failure
            await self._wake.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Unsubscribe; the client's other subscriptions go on.

        The update in hand is accepted if the task that took it closes, with no exception on its
        way; of another's it is not known whether it has been processed.
        """
        if not self._closed:
            self.accept_processed()
            self._send(self._exchange.rename(()))
            self.close()

    def _answer(self, update: Update, reason: str | None) -> None:
        self._send(self._exchange.answer(update, reason))

    # For the client that owns the stream.

    def accept_processed(self) -> None:
        """Accept the update in hand if the task that took it has come here with no exception."""
        if self._closed or self._exchange.in_hand is None:
            return
        if asyncio.current_task() is self._taker and sys.exception() is None:
            self._answer(self._exchange.in_hand.update, None)

    def stream_began(self) -> None:
        self._send(self._exchange.start())

    def stream_ended(self) -> None:
        self._exchange.stop()

    def receive(self, response: Response) -> None:
        """Take in a response; one that crossed the unsubscription is answered here."""
        self._exchange.receive(response)
        if self._closed:
            requests, update = self._exchange.take(self._answer)
            self._send(requests)
            if update is not None:
                self._answer(update, None)
        self._wake.set()

    def fail(self, failure: Exception) -> None:
        """Raise *failure* to the reader once it has taken what had arrived."""
        self._failure = failure
        self._wake.set()

    def close(self) -> None:
        """End the iteration and say nothing to the server."""
        self._closed = True
        self._wake.set()


def checked_names(names: Iterable[str]) -> tuple[str, ...]:
    """*names* as a tuple; TypeError for a lone string, which would be taken letter by letter."""
    if isinstance(names, str):
        raise TypeError(f"names={names!r}: give a sequence of names, such as ({names!r},)")
    return tuple(names)
