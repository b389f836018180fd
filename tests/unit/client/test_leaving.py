"""Leaving a client ends it, in whatever moment of a connection it is."""

from __future__ import annotations

import asyncio
import socket

from towpath_client import CLUSTER, AdsClient, Backoff


async def test_a_client_that_cannot_connect_can_be_left_at_any_moment(backoff: Backoff) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
    for steps in range(60):
        async with asyncio.timeout(30):
            async with AdsClient(address, "curl.curl", backoff=backoff) as client:
                client.subscribe(CLUSTER)
                for _ in range(steps):
                    await asyncio.sleep(0)
