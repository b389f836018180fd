"""subscribe: one resource type, on a stream of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence

import grpc

from towpath_client.backoff import Backoff
from towpath_client.client import AdsClient, Mode
from towpath_client.subscription import Subscription
from towpath_client.tls import TlsFiles
from towpath_client.token_file import TokenFile
from towpath_client.update import Update


class Updates(AsyncIterator[Update]):
    """The updates of one type; `aclose`, or letting go of it, ends its stream."""

    def __init__(self, client: AdsClient, subscription: Subscription) -> None:
        self._subscription = subscription
        self._updates = _follow(client, subscription)

    async def __anext__(self) -> Update:
        """Accept the update in hand, then wait for the next."""
        return await anext(self._updates)

    async def aclose(self) -> None:
        """Accept the update in hand as `Subscription.aclose` does, and end the stream."""
        # Here, because a generator cannot tell whether it is closed because of an exception.
        self._subscription.accept_processed()
        await self._updates.aclose()


def subscribe(
    address: str,
    node_id: str,
    type_url: str,
    names: Iterable[str] = ("*",),
    *,
    mode: Mode = "delta",
    credentials: TlsFiles | TokenFile | grpc.ChannelCredentials | None = None,
    user_agent: str = "towpath-client",
    metadata: Sequence[tuple[str, str]] = (),
    channel_options: Sequence[tuple[str, str | int]] = (),
    backoff: Backoff | None = None,
) -> Updates:
    """Follow one type on a stream of its own, which ends when what this returns is closed.

    For several types on one stream, or to change the names, use AdsClient.
    """
    client = AdsClient(
        address,
        node_id,
        mode=mode,
        credentials=credentials,
        user_agent=user_agent,
        metadata=metadata,
        channel_options=channel_options,
        backoff=backoff,
    )
    return Updates(client, client.subscribe(type_url, names))


async def _follow(client: AdsClient, subscription: Subscription) -> AsyncGenerator[Update, None]:
    async with client:
        async for update in subscription:
            yield update
