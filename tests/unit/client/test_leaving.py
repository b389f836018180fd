"""Leaving a client or a subscription: what the server still hears, and an end at any moment."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from contextlib import aclosing
from typing import Any

import grpc
import pytest

from support.ads_server import ScriptedServer, ServerStream, delta, sotw
from towpath_client import CLUSTER, LISTENER, AdsClient, Backoff, Mode, Update, client, subscribe

NODE = "curl-1.demo"


def response(mode: Mode, *, nonce: str, type_url: str = CLUSTER) -> Any:
    if mode == "delta":
        return delta(type_url, {"a": "1"}, nonce=nonce)
    return sotw(type_url, "v1", {"a": "x"}, nonce=nonce)


async def first_stream(server: ScriptedServer, mode: Mode = "delta") -> ServerStream:
    """The client's stream, which has asked for clusters and was sent some."""
    stream = await server.stream()
    await stream.request()
    stream.respond(response(mode, nonce="n1"))
    return stream


async def heard(stream: ServerStream) -> list[tuple[str, str]]:
    """Nonce and error of each request that was not looked at, now that the stream is over."""
    await stream.wait_closed()
    requests = [await stream.request() for _ in range(stream.unread())]
    return [(request.response_nonce, request.error_detail.message) for request in requests]


async def test_a_client_that_cannot_connect_can_be_left_at_any_moment(backoff: Backoff) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
    for steps in range(60):
        async with asyncio.timeout(30):
            async with AdsClient(address, "curl.curl", backoff=backoff) as ads:
                ads.subscribe(CLUSTER)
                for _ in range(steps):
                    await asyncio.sleep(0)


@pytest.mark.parametrize("mode", ["delta", "sotw"])
async def test_leaving_the_loop_acknowledges_its_last_update(
    server: ScriptedServer, mode: Mode
) -> None:
    streaming = asyncio.create_task(first_stream(server, mode))
    async with aclosing(subscribe(server.address, NODE, CLUSTER, mode=mode)) as updates:
        async for _ in updates:
            break

    assert [("n1", "")] == await heard(await streaming)
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("ads client")]


@pytest.mark.parametrize("mode", ["delta", "sotw"])
async def test_leaving_a_client_acknowledges_what_was_taken_and_nothing_else(
    server: ScriptedServer, mode: Mode
) -> None:
    streaming = asyncio.create_task(first_stream(server, mode))
    async with AdsClient(server.address, NODE, mode=mode) as ads:
        clusters = ads.subscribe(CLUSTER)
        stream = await streaming
        listeners = ads.subscribe(LISTENER)
        await stream.request()
        stream.respond(response(mode, nonce="n2", type_url=LISTENER))
        await anext(clusters)
        stream.respond(response(mode, nonce="n3"))
        stream.respond(response(mode, nonce="n4", type_url=LISTENER))
        await anext(listeners)
        await anext(listeners)  # so the one before it has arrived

    assert [("n2", ""), ("n1", ""), ("n4", "")] == await heard(stream)


async def test_an_answer_given_just_before_leaving_is_heard(server: ScriptedServer) -> None:
    streaming = asyncio.create_task(first_stream(server))
    with pytest.raises(LookupError):
        async with aclosing(subscribe(server.address, NODE, CLUSTER)) as updates:
            async for update in updates:
                await update.nack("no")
                raise LookupError

    assert [("n1", "no")] == await heard(await streaming)


async def test_an_update_whose_processing_fails_is_not_acknowledged(server: ScriptedServer) -> None:
    async def of_own_stream() -> None:
        async with aclosing(subscribe(server.address, NODE, CLUSTER)) as updates:
            async for _ in updates:
                raise LookupError

    async def of_client() -> None:
        async with AdsClient(server.address, NODE) as ads:
            await anext(ads.subscribe(CLUSTER))
            raise LookupError

    for failing in (of_own_stream, of_client):
        streaming = asyncio.create_task(first_stream(server))
        with pytest.raises(LookupError):
            await failing()

        assert [] == await heard(await streaming)


async def test_an_update_in_the_hands_of_another_task_is_not_acknowledged(
    server: ScriptedServer,
) -> None:
    streaming = asyncio.create_task(first_stream(server))
    async with AdsClient(server.address, NODE) as ads:
        await asyncio.create_task(anext_of(ads))

    assert [] == await heard(await streaming)


async def anext_of(ads: AdsClient) -> Update:
    return await anext(ads.subscribe(CLUSTER))


async def test_a_loop_that_is_left_without_closing_ends_the_stream(server: ScriptedServer) -> None:
    streaming = asyncio.create_task(first_stream(server))
    async for _ in subscribe(server.address, NODE, CLUSTER):
        break
    gc.collect()

    assert [] == await heard(await streaming)


@pytest.mark.parametrize("mode", ["delta", "sotw"])
async def test_a_subscription_is_closed_after_its_last_update_is_acknowledged(
    server: ScriptedServer, mode: Mode
) -> None:
    streaming = asyncio.create_task(first_stream(server, mode))
    async with AdsClient(server.address, NODE, mode=mode) as ads:
        clusters = ads.subscribe(CLUSTER)
        stream = await streaming
        await anext(clusters)
        await clusters.aclose()
        ack, goodbye = await stream.request(), await stream.request()

    assert ("n1", False) == (ack.response_nonce, ack.HasField("error_detail"))
    if mode == "delta":
        assert ["*"] == [*goodbye.resource_names_unsubscribe]
    else:
        assert (["*"], "v1") == ([*ack.resource_names], ack.version_info)
        assert ([], "n1") == ([*goodbye.resource_names], goodbye.response_nonce)


async def test_a_subscription_that_an_exception_closes_acknowledges_nothing(
    server: ScriptedServer,
) -> None:
    async def fail(ads: AdsClient) -> None:
        async with aclosing(ads.subscribe(CLUSTER)) as clusters:
            async for _ in clusters:
                raise LookupError

    streaming = asyncio.create_task(first_stream(server))
    async with AdsClient(server.address, NODE) as ads:
        with pytest.raises(LookupError):
            await fail(ads)

    assert [("", "")] == await heard(await streaming)  # it unsubscribes


async def test_a_server_that_does_not_end_the_stream_is_left_after_a_moment(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_LAST_WORDS_S", 0.2)
    server.linger = True
    streaming = asyncio.create_task(first_stream(server))
    async with AdsClient(server.address, NODE) as ads:
        await anext(ads.subscribe(CLUSTER))

    assert [("n1", "")] == await heard(await streaming)


async def test_a_stream_that_ends_while_its_end_is_written_is_not_waited_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ads = AdsClient("127.0.0.1:1", NODE)

    class Call:
        async def done_writing(self) -> None:
            monkeypatch.setattr(ads, "_call", None)

        async def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.OK

    monkeypatch.setattr(ads, "_call", Call())

    await ads.finish()


async def test_a_cancelled_task_leaves_at_once(server: ScriptedServer) -> None:
    server.linger = True
    taken = asyncio.Event()

    async def follow() -> None:
        async with AdsClient(server.address, NODE) as ads:
            await anext(ads.subscribe(CLUSTER))
            taken.set()
            await asyncio.Event().wait()

    streaming = asyncio.create_task(first_stream(server))
    following = asyncio.create_task(follow())
    await taken.wait()
    following.cancel()
    begun = time.monotonic()
    await asyncio.gather(following, return_exceptions=True)

    assert time.monotonic() - begun < client._LAST_WORDS_S
    assert [] == await heard(await streaming)
