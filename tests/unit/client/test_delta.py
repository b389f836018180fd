"""Delta mode against a scripted server: what is on the wire, and what the subscriber holds."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from support.ads_server import ScriptedServer, delta
from towpath_client import CLUSTER, LISTENER, AdsClient, Backoff, Update, subscribe

NODE = "curl-1.demo"


def held(update: Update) -> dict[str, str]:
    return {name: resource.version for name, resource in update.resources.items()}


async def test_the_first_request_names_the_node_and_later_ones_do_not(
    server: ScriptedServer,
) -> None:
    updates = subscribe(server.address, NODE, CLUSTER, user_agent="agent", metadata=[("k", "v")])
    async with aclosing(updates):
        following = asyncio.create_task(anext(updates))
        stream = await server.stream()
        first = await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))
        update = await following
        await update.ack()
        ack = await stream.request()

    assert (first.node.id, first.node.user_agent_name) == (NODE, "agent")
    assert (first.type_url, [*first.resource_names_subscribe]) == (CLUSTER, ["*"])
    assert (ack.HasField("node"), ack.HasField("error_detail")) == (False, False)
    assert (ack.type_url, ack.response_nonce) == (CLUSTER, "n1")
    assert [*ack.resource_names_subscribe] == []
    assert stream.metadata["k"] == "v"


async def test_an_update_is_acknowledged_by_asking_for_the_next(server: ScriptedServer) -> None:
    async with AdsClient(server.address, NODE) as client:
        clusters = client.subscribe(CLUSTER)
        stream = await server.stream()
        await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1", "b": "1"}, nonce="n1"))
        first = await anext(clusters)
        stream.respond(delta(CLUSTER, {"b": "2"}, nonce="n2", removed=["a"]))
        second = await anext(clusters)
        ack = await stream.request()

    assert (ack.response_nonce, ack.HasField("error_detail")) == ("n1", False)
    assert held(first) == {"a": "1", "b": "1"}
    assert (sorted(second.changed), sorted(second.removed)) == (["b"], ["a"])
    assert held(second) == {"b": "2"}


async def test_a_rejected_update_leaves_the_state_before_it(server: ScriptedServer) -> None:
    async with AdsClient(server.address, NODE) as client:
        clusters = client.subscribe(CLUSTER)
        stream = await server.stream()
        await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))
        await (await anext(clusters)).ack()
        stream.respond(delta(CLUSTER, {"a": "2"}, nonce="n2", removed=[]))
        await (await anext(clusters)).nack("a: too wide")
        stream.respond(delta(CLUSTER, {"b": "1"}, nonce="n3"))
        third = await anext(clusters)
        ack, nack = await stream.request(), await stream.request()

    assert (ack.response_nonce, ack.HasField("error_detail")) == ("n1", False)
    assert (nack.response_nonce, nack.error_detail.code) == ("n2", 3)
    assert nack.error_detail.message == "a: too wide"
    assert held(third) == {"a": "1", "b": "1"}


async def test_an_update_can_be_answered_only_once(server: ScriptedServer) -> None:
    async with AdsClient(server.address, NODE) as client:
        clusters = client.subscribe(CLUSTER)
        stream = await server.stream()
        await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))
        update = await anext(clusters)
        await update.nack("no")

        with pytest.raises(RuntimeError, match="is answered already"):
            await update.ack()


async def test_a_reconnect_sends_what_is_held_and_all_names(
    server: ScriptedServer, backoff: Backoff, delays: list[float]
) -> None:
    async with AdsClient(server.address, NODE, backoff=backoff) as client:
        clusters = client.subscribe(CLUSTER, ["a", "b", "c"])
        stream = await server.stream()
        await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1", "b": "2"}, nonce="n1"))
        await (await anext(clusters)).ack()
        await stream.request()
        stream.end()
        again = await server.stream()
        first = await again.request()

    assert first.node.id == NODE
    assert [*first.resource_names_subscribe] == ["a", "b", "c"]
    assert dict(first.initial_resource_versions) == {"a": "1", "b": "2"}
    assert (first.response_nonce, delays) == ("", [1])


async def test_a_new_stream_asks_only_after_the_update_in_hand_is_answered(
    server: ScriptedServer, backoff: Backoff
) -> None:
    async with AdsClient(server.address, NODE, backoff=backoff) as client:
        clusters, listeners = client.subscribe(CLUSTER), client.subscribe(LISTENER)
        stream = await server.stream()
        await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))
        update = await anext(clusters)
        stream.end()
        again = await server.stream()
        first = await again.request()
        await update.nack("no")
        second = await again.request()

    assert (first.type_url, listeners.type_url) == (LISTENER, LISTENER)
    assert (second.type_url, dict(second.initial_resource_versions)) == (CLUSTER, {})


async def test_what_was_not_taken_from_an_old_stream_is_left_to_the_new_one(
    server: ScriptedServer, backoff: Backoff
) -> None:
    async with AdsClient(server.address, NODE, backoff=backoff) as client:
        clusters = client.subscribe(CLUSTER)
        stream = await server.stream()
        await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))
        stream.end()
        again = await server.stream()
        first = await again.request()
        again.respond(delta(CLUSTER, {"b": "1"}, nonce="m1"))
        update = await anext(clusters)

    assert dict(first.initial_resource_versions) == {}
    assert held(update) == {"b": "1"}


async def test_changed_names_are_told_and_dropped_resources_forgotten(
    server: ScriptedServer,
) -> None:
    async with AdsClient(server.address, NODE) as client:
        clusters = client.subscribe(CLUSTER, ["a", "b"])
        stream = await server.stream()
        await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1", "b": "1"}, nonce="n1"))
        await (await anext(clusters)).ack()
        await stream.request()
        clusters.change_names(["b", "c"])
        change = await stream.request()
        stream.respond(delta(CLUSTER, {"c": "1", "a": "2"}, nonce="n2"))
        update = await anext(clusters)

    assert [*change.resource_names_subscribe] == ["c"]
    assert [*change.resource_names_unsubscribe] == ["a"]
    assert change.response_nonce == ""
    assert held(update) == {"b": "1", "c": "1"}
    assert update.received == ("c", "a")


async def test_responses_that_wait_become_one_update_and_each_is_acknowledged(
    server: ScriptedServer,
) -> None:
    async with AdsClient(server.address, NODE) as client:
        clusters, listeners = client.subscribe(CLUSTER), client.subscribe(LISTENER)
        stream = await server.stream()
        await stream.request()
        await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1", "b": "1"}, nonce="n1"))
        stream.respond(delta(CLUSTER, {"a": "2"}, nonce="n2", removed=["b"]))
        stream.respond(delta(LISTENER, {}, nonce="n3"))
        await anext(listeners)  # so the two before it have arrived
        update = await anext(clusters)
        await update.ack()
        acks = [(await stream.request()).response_nonce for _ in range(2)]

    assert held(update) == {"a": "2"}
    assert update.removed == {"b"}
    assert acks == ["n1", "n2"]


async def test_errors_say_why_and_only_final_ones_take_the_resource_away(
    server: ScriptedServer,
) -> None:
    async with AdsClient(server.address, NODE) as client:
        clusters = client.subscribe(CLUSTER, ["a", "b", "c"])
        stream = await server.stream()
        await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1", "b": "1"}, nonce="n1"))
        await anext(clusters)
        errors = {"a": (5, "no a"), "b": (14, "later"), "c": (7, "not yours")}
        stream.respond(delta(CLUSTER, {}, nonce="n2", errors=errors))
        update = await anext(clusters)

    assert update.resource_errors == errors
    assert held(update) == {"b": "1"}
    assert update.removed == {"a", "c"}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (delta(LISTENER, {"a": "1"}, nonce="n1"), "is of type"),
        (delta(CLUSTER, {"a": "1"}, nonce="n1"), "'a' is in the response twice"),
    ],
)
async def test_an_unusable_response_is_rejected_and_never_shown(
    server: ScriptedServer, response: object, reason: str
) -> None:
    bad = delta(CLUSTER, {"a": "1"}, nonce="n1")
    bad.resources.extend(response.resources)  # type: ignore[attr-defined]
    async with AdsClient(server.address, NODE) as client:
        clusters = client.subscribe(CLUSTER)
        following = asyncio.create_task(anext(clusters))
        stream = await server.stream()
        await stream.request()
        stream.respond(bad)
        nack = await stream.request()
        stream.respond(delta(CLUSTER, {"b": "1"}, nonce="n2"))
        update = await following

    assert nack.response_nonce == "n1"
    assert reason in nack.error_detail.message
    assert held(update) == {"b": "1"}


async def test_no_names_ask_for_nothing_until_there_are_some(server: ScriptedServer) -> None:
    async with AdsClient(server.address, NODE) as client:
        clusters = client.subscribe(CLUSTER, ())
        client.subscribe(LISTENER)
        stream = await server.stream()
        first = await stream.request()
        clusters.change_names(["a"])
        second = await stream.request()

    assert (first.type_url, second.type_url) == (LISTENER, CLUSTER)
    assert [*second.resource_names_subscribe] == ["a"]


async def test_a_closed_subscription_unsubscribes_and_the_others_go_on(
    server: ScriptedServer,
) -> None:
    async with AdsClient(server.address, NODE) as client:
        clusters, listeners = client.subscribe(CLUSTER), client.subscribe(LISTENER)
        stream = await server.stream()
        await stream.request()
        await stream.request()
        await clusters.aclose()
        goodbye = await stream.request()
        stream.respond(delta(CLUSTER, {"a": "1"}, nonce="n1"))  # had crossed the goodbye
        stream.respond(delta(LISTENER, {"l": "1"}, nonce="n2"))
        update = await anext(listeners)
        crossed = await stream.request()

        assert [u async for u in clusters] == []
        with pytest.raises(RuntimeError, match="is closed"):
            clusters.change_names(["a"])

    assert [*goodbye.resource_names_unsubscribe] == ["*"]
    assert (held(update), crossed.response_nonce) == ({"l": "1"}, "n1")


async def test_what_was_never_taken_is_acknowledged_when_nothing_is_wanted_any_more(
    server: ScriptedServer,
) -> None:
    async with AdsClient(server.address, NODE) as client:
        clusters, listeners = client.subscribe(CLUSTER), client.subscribe(LISTENER)
        stream = await server.stream()
        await stream.request()
        await stream.request()
        for nonce, version in (("n1", "1"), ("n2", "2")):
            stream.respond(delta(CLUSTER, {"a": version}, nonce=nonce))
        stream.respond(delta(LISTENER, {"l": "1"}, nonce="n3"))
        await anext(listeners)  # so all three are there
        await clusters.aclose()
        said = [await stream.request() for _ in range(3)]

    assert ["n1", "n2", ""] == [request.response_nonce for request in said]
    assert ["*"] == [*said[-1].resource_names_unsubscribe]
    assert not any(request.HasField("error_detail") for request in said)
