"""State-of-the-world mode against a scripted server: the wire, and what the subscriber holds."""

from __future__ import annotations

import asyncio

import pytest

from support.ads_server import ScriptedServer, packed, sotw
from towpath_client import CLUSTER, ENDPOINTS, LISTENER, AdsClient, Backoff, Update

NODE = "curl-1.demo"


def held(update: Update) -> dict[str, str]:
    return {name: resource.version for name, resource in update.resources.items()}


def client_of(server: ScriptedServer, backoff: Backoff | None = None) -> AdsClient:
    return AdsClient(server.address, NODE, mode="sotw", backoff=backoff)


async def test_an_acknowledgement_repeats_version_nonce_and_names(server: ScriptedServer) -> None:
    async with client_of(server) as client:
        endpoints = client.subscribe(ENDPOINTS, ["a", "b"])
        stream = await server.stream()
        first = await stream.request()
        stream.respond(sotw(ENDPOINTS, "v1", {"a": "x"}, nonce="n1"))
        update = await anext(endpoints)
        await update.ack()
        ack = await stream.request()

    assert (stream.mode, first.node.id, first.version_info) == ("sotw", NODE, "")
    assert (first.response_nonce, [*first.resource_names]) == ("", ["a", "b"])
    assert (ack.version_info, ack.response_nonce) == ("v1", "n1")
    assert [*ack.resource_names] == ["a", "b"]
    assert (ack.HasField("node"), ack.HasField("error_detail")) == (False, False)
    assert (update.version, held(update)) == ("v1", {"a": "v1"})
    assert update.resources["a"].body == packed(ENDPOINTS, "a", "x")


async def test_a_rejection_names_the_last_accepted_version(server: ScriptedServer) -> None:
    async with client_of(server) as client:
        clusters = client.subscribe(CLUSTER)
        stream = await server.stream()
        await stream.request()
        stream.respond(sotw(CLUSTER, "v1", {"a": "x"}, nonce="n1"))
        await (await anext(clusters)).ack()
        stream.respond(sotw(CLUSTER, "v2", {"a": "y"}, nonce="n2"))
        await (await anext(clusters)).nack("a: bad")
        stream.respond(sotw(CLUSTER, "v3", {"a": "x", "b": "z"}, nonce="n3"))
        third = await anext(clusters)
        await stream.request()
        nack = await stream.request()

    assert (nack.version_info, nack.response_nonce) == ("v1", "n2")
    assert (nack.error_detail.code, nack.error_detail.message) == (3, "a: bad")
    assert held(third) == {"a": "v1", "b": "v3"}
    assert set(third.changed) == {"b"}


@pytest.mark.parametrize("type_url", [LISTENER, CLUSTER])
async def test_absence_deletes_a_listener_or_a_cluster(
    server: ScriptedServer, type_url: str
) -> None:
    async with client_of(server) as client:
        updates = client.subscribe(type_url)
        stream = await server.stream()
        await stream.request()
        stream.respond(sotw(type_url, "v1", {"a": "x", "b": "x"}, nonce="n1"))
        await anext(updates)
        stream.respond(sotw(type_url, "v2", {"b": "x"}, nonce="n2"))
        update = await anext(updates)

    assert held(update) == {"b": "v1"}
    assert update.removed == {"a"}
    assert (list(update.changed), update.received) == ([], ("b",))


async def test_absence_deletes_nothing_of_any_other_type(server: ScriptedServer) -> None:
    async with client_of(server) as client:
        endpoints = client.subscribe(ENDPOINTS, ["a", "b"])
        stream = await server.stream()
        await stream.request()
        stream.respond(sotw(ENDPOINTS, "v1", {"a": "x", "b": "x"}, nonce="n1"))
        await anext(endpoints)
        stream.respond(sotw(ENDPOINTS, "v2", {"b": "y"}, nonce="n2"))
        update = await anext(endpoints)

    assert held(update) == {"a": "v1", "b": "v2"}
    assert (sorted(update.removed), sorted(update.changed)) == ([], ["b"])


async def test_a_temporary_error_does_not_delete_by_absence(server: ScriptedServer) -> None:
    async with client_of(server) as client:
        clusters = client.subscribe(CLUSTER, ["a", "b"])
        stream = await server.stream()
        await stream.request()
        stream.respond(sotw(CLUSTER, "v1", {"a": "x", "b": "x"}, nonce="n1"))
        await anext(clusters)
        response = sotw(CLUSTER, "v2", {}, nonce="n2")
        for name, code in (("a", 14), ("b", 5)):
            fault = response.resource_errors.add()
            fault.resource_name.name, fault.error_detail.code = name, code
        stream.respond(response)
        update = await anext(clusters)

    assert held(update) == {"a": "v1"}
    assert update.removed == {"b"}


async def test_a_reconnect_sends_the_last_version_and_no_nonce(
    server: ScriptedServer, backoff: Backoff
) -> None:
    async with client_of(server, backoff) as client:
        clusters = client.subscribe(CLUSTER)
        stream = await server.stream()
        await stream.request()
        stream.respond(sotw(CLUSTER, "v1", {"a": "x"}, nonce="n1"))
        await (await anext(clusters)).ack()
        await stream.request()
        stream.end()
        again = await server.stream()
        first = await again.request()

    assert (first.node.id, first.version_info, first.response_nonce) == (NODE, "v1", "")
    assert [*first.resource_names] == ["*"]


async def test_after_names_were_added_a_reconnect_claims_no_version(
    server: ScriptedServer, backoff: Backoff
) -> None:
    async with client_of(server, backoff) as client:
        clusters = client.subscribe(CLUSTER, ["a"])
        stream = await server.stream()
        await stream.request()
        stream.respond(sotw(CLUSTER, "v1", {"a": "x"}, nonce="n1"))
        await (await anext(clusters)).ack()
        await stream.request()
        clusters.change_names(["a", "b"])
        change = await stream.request()
        stream.end()
        again = await server.stream()
        first = await again.request()

    assert (change.version_info, change.response_nonce) == ("v1", "n1")
    assert [*change.resource_names] == ["a", "b"]
    assert (first.version_info, [*first.resource_names]) == ("", ["a", "b"])


async def test_after_the_added_names_were_answered_a_reconnect_claims_the_version_again(
    server: ScriptedServer, backoff: Backoff
) -> None:
    async with client_of(server, backoff) as client:
        clusters = client.subscribe(CLUSTER, ["a"])
        stream = await server.stream()
        await stream.request()
        clusters.change_names(["a", "b"])
        await stream.request()
        stream.respond(sotw(CLUSTER, "v1", {"a": "x", "b": "x"}, nonce="n1"))
        await (await anext(clusters)).ack()
        await stream.request()
        stream.end()
        first = await (await server.stream()).request()

    assert (first.version_info, [*first.resource_names]) == ("v1", ["a", "b"])


async def test_names_changed_with_an_update_in_hand_go_with_its_answer(
    server: ScriptedServer,
) -> None:
    async with client_of(server) as client:
        endpoints = client.subscribe(ENDPOINTS, ["a"])
        stream = await server.stream()
        await stream.request()
        stream.respond(sotw(ENDPOINTS, "v1", {"a": "x"}, nonce="n1"))
        update = await anext(endpoints)
        endpoints.change_names(["b"])
        await update.ack()
        ack = await stream.request()  # and no request of its own before it
        stream.respond(sotw(ENDPOINTS, "v2", {"b": "x"}, nonce="n2"))
        after = await anext(endpoints)

    assert (ack.version_info, ack.response_nonce) == ("v1", "n1")
    assert [*ack.resource_names] == ["b"]
    assert held(after) == {"b": "v2"}


async def test_a_change_of_names_does_not_take_a_rejection_back(server: ScriptedServer) -> None:
    async with client_of(server) as client:
        endpoints = client.subscribe(ENDPOINTS, ["a"])
        stream = await server.stream()
        await stream.request()
        stream.respond(sotw(ENDPOINTS, "v1", {"a": "x"}, nonce="n1"))
        await (await anext(endpoints)).nack("no")
        await stream.request()
        endpoints.change_names(["a", "b"])
        change = await stream.request()

    assert (change.version_info, change.response_nonce) == ("", "n1")
    assert change.error_detail.message == "no"


async def test_closing_with_an_update_in_anothers_hands_still_unsubscribes(
    server: ScriptedServer,
) -> None:
    async with client_of(server) as client:
        clusters = client.subscribe(CLUSTER)
        stream = await server.stream()
        await stream.request()
        stream.respond(sotw(CLUSTER, "v1", {"a": "x"}, nonce="n1"))
        await asyncio.ensure_future(anext(clusters))
        await clusters.aclose()
        goodbye = await stream.request()

    assert ([], "n1") == ([*goodbye.resource_names], goodbye.response_nonce)


async def test_a_good_response_is_shown_before_a_bad_one_behind_it_is_rejected(
    server: ScriptedServer,
) -> None:
    async with client_of(server) as client:
        clusters, listeners = client.subscribe(CLUSTER), client.subscribe(LISTENER)
        stream = await server.stream()
        await stream.request()
        await stream.request()
        stream.respond(sotw(CLUSTER, "v1", {"a": "x"}, nonce="n1"))
        bad = sotw(CLUSTER, "v2", {"a": "x"}, nonce="n2")
        bad.resources.append(packed(CLUSTER, "a", "x"))
        stream.respond(bad)
        stream.respond(sotw(LISTENER, "v1", {}, nonce="n3"))
        await anext(listeners)  # so the two before it have arrived
        update = await anext(clusters)
        following = asyncio.create_task(anext(clusters))
        ack, nack = await stream.request(), await stream.request()
        following.cancel()

    assert (held(update), ack.response_nonce, ack.version_info) == ({"a": "v1"}, "n1", "v1")
    assert (nack.response_nonce, nack.version_info) == ("n2", "v1")
    assert nack.error_detail.message == "resource 'a' is in the response twice"


async def test_a_resource_without_a_readable_name_is_rejected(server: ScriptedServer) -> None:
    async with client_of(server) as client:
        clusters = client.subscribe(CLUSTER)
        stream = await server.stream()
        await stream.request()
        bad = sotw(CLUSTER, "v1", {"a": "x"}, nonce="n1")
        bad.resources[0].value = b"\x0a\x09short"
        stream.respond(bad)
        stream.respond(sotw(CLUSTER, "v2", {"a": "x"}, nonce="n2"))
        update = await anext(clusters)
        nack = await stream.request()

    assert (nack.response_nonce, nack.version_info, nack.error_detail.code) == ("n1", "", 3)
    assert "name cannot be read" in nack.error_detail.message
    assert held(update) == {"a": "v2"}


async def test_a_type_whose_names_cannot_be_read_is_refused_at_once() -> None:
    client = AdsClient("127.0.0.1:1", NODE, mode="sotw")

    with pytest.raises(ValueError, match="cannot be followed in mode 'sotw'"):
        client.subscribe("type.googleapis.com/unknown.Type")
