"""The stream's life: several types on it, refusals, retries, and an end without traces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
import pytest

from support.ads_server import DEADLINE_S, ScriptedServer, delta, refusing, scripted_server
from support.ports import free_port
from towpath_client import (
    CLUSTER,
    LISTENER,
    AdsClient,
    Backoff,
    SubscriptionRefused,
    Update,
    subscribe,
)

NODE = "curl-1.demo"


def own_tasks() -> set[asyncio.Task[object]]:
    """All unfinished tasks but the test's own and those of the scripted server."""
    return {
        task
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task()
        and (task.get_name().startswith("ads client") or "towpath_client" in repr(task))
    }


async def test_several_types_share_one_stream_and_one_node(server: ScriptedServer) -> None:
    async with AdsClient(server.address, NODE) as client:
        clusters = client.subscribe(CLUSTER)
        stream = await server.stream()
        first = await stream.request()
        listeners = client.subscribe(LISTENER, ["l"])
        second = await stream.request()
        stream.respond(delta(LISTENER, {"l": "1"}, nonce="n1"))
        stream.respond(delta(CLUSTER, {"c": "1"}, nonce="n2"))
        by_type = {
            u.type_url: set(u.resources) for u in (await anext(clusters), await anext(listeners))
        }

    assert (first.type_url, first.node.id) == (CLUSTER, NODE)
    assert (second.type_url, second.HasField("node")) == (LISTENER, False)
    assert by_type == {CLUSTER: {"c"}, LISTENER: {"l"}}


@pytest.mark.parametrize(
    "status",
    [
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
    ],
)
async def test_a_final_status_ends_every_subscription_with_its_words(
    server: ScriptedServer, backoff: Backoff, status: grpc.StatusCode
) -> None:
    async with (
        refusing(server, status, "no such pod"),
        AdsClient(server.address, NODE, backoff=backoff) as client,
    ):
        subscriptions = [client.subscribe(CLUSTER), client.subscribe(LISTENER)]
        for subscription in subscriptions:
            with pytest.raises(SubscriptionRefused, match=f"{status.name}: no such pod") as refusal:
                await anext(subscription)
            assert (refusal.value.status, refusal.value.details) == (status, "no such pod")


async def test_what_came_before_a_refusal_is_seen_before_it(
    server: ScriptedServer, backoff: Backoff
) -> None:
    async with AdsClient(server.address, NODE, backoff=backoff) as client:
        clusters = client.subscribe(CLUSTER)
        stream = await server.stream()
        await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))
        stream.end(grpc.StatusCode.NOT_FOUND, "gone")
        await stream.wait_closed()
        update = await anext(clusters)
        async with refusing(server, grpc.StatusCode.NOT_FOUND, "gone"):
            with pytest.raises(SubscriptionRefused, match="NOT_FOUND: gone"):
                await anext(clusters)

    assert set(update.resources) == {"a"}


@pytest.mark.parametrize(
    "status",
    [
        grpc.StatusCode.OK,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.CANCELLED,
    ],
)
async def test_any_other_end_is_tried_again_with_growing_delays(
    server: ScriptedServer, backoff: Backoff, delays: list[float], status: grpc.StatusCode
) -> None:
    async with AdsClient(server.address, NODE, backoff=backoff) as client:
        clusters = client.subscribe(CLUSTER)
        for _ in range(3):
            (await server.stream()).end(status, "busy")
        stream = await server.stream()
        stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))
        stream_ready = await stream.request()
        update = await anext(clusters)

    assert (stream_ready.node.id, set(update.resources)) == (NODE, {"a"})
    assert delays == [1, 2, 4]


async def test_a_good_answer_makes_the_next_wait_short_again(
    server: ScriptedServer, backoff: Backoff, delays: list[float]
) -> None:
    async with AdsClient(server.address, NODE, backoff=backoff) as client:
        clusters = client.subscribe(CLUSTER)
        for _ in range(2):
            (await server.stream()).end(grpc.StatusCode.UNAVAILABLE)
        stream = await server.stream()
        await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))
        await (await anext(clusters)).ack()
        stream.end(grpc.StatusCode.UNAVAILABLE)
        await server.stream()

    assert delays == [1, 2, 1]


async def test_a_server_that_is_not_there_yet_is_found_when_it_comes() -> None:
    address = f"127.0.0.1:{free_port()}"
    tried = asyncio.Event()
    go_on = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        tried.set()
        await go_on.wait()

    async with AdsClient(address, NODE, backoff=Backoff(sleep=sleep)) as client:
        clusters = client.subscribe(CLUSTER)
        async with asyncio.timeout(DEADLINE_S):
            await tried.wait()
        async with scripted_server(address) as server:
            go_on.set()
            stream = await server.stream()
            await stream.request()
            stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))
            update = await anext(clusters)

    assert set(update.resources) == {"a"}


async def follow(updates: AsyncIterator[Update]) -> None:
    async for _ in updates:
        pass


@pytest.mark.parametrize("answered", [False, True], ids=["before", "after an update"])
async def test_cancelling_a_follower_ends_the_stream_and_leaves_no_task(
    server: ScriptedServer, *, answered: bool
) -> None:
    async def follower() -> None:
        async with aclosing(subscribe(server.address, NODE, CLUSTER)) as updates:
            await follow(updates)

    task = asyncio.create_task(follower())
    stream = await server.stream()
    await stream.request()
    if answered:
        stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))
        await stream.request()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stream.wait_closed()

    assert own_tasks() == set()


async def test_leaving_the_client_ends_iterations_and_a_pending_retry(
    server: ScriptedServer,
) -> None:
    waiting = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    async with AdsClient(server.address, NODE, backoff=Backoff(sleep=sleep)) as client:
        clusters = client.subscribe(CLUSTER)
        (await server.stream()).end(grpc.StatusCode.UNAVAILABLE)
        await waiting.wait()

    assert [update async for update in clusters] == []
    assert own_tasks() == set()
    with pytest.raises(RuntimeError, match="is closed"):
        client.subscribe(LISTENER)


async def test_a_wait_that_times_out_loses_no_update(server: ScriptedServer) -> None:
    async with AdsClient(server.address, NODE) as client:
        clusters = client.subscribe(CLUSTER)
        stream = await server.stream()
        await stream.request()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(clusters)
        stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))
        update = await anext(clusters)

    assert set(update.resources) == {"a"}


async def test_misuse_is_named() -> None:
    client = AdsClient("127.0.0.1:1", NODE)
    client.subscribe(CLUSTER)

    with pytest.raises(ValueError, match="is subscribed to already"):
        client.subscribe(CLUSTER)
    with pytest.raises(TypeError, match="give a sequence of names"):
        client.subscribe(LISTENER, "abc")
    with pytest.raises(ValueError, match=r"mode='state': allowed are \['delta', 'sotw'\]"):
        AdsClient("127.0.0.1:1", NODE, mode="state")  # type: ignore[arg-type]
