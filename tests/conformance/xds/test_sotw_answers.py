"""Checks 12 to 23: acknowledgement, rejection, nonce and version in the SotW variant."""

from __future__ import annotations

import itertools

from support.xds.case import Case
from support.xds.client import SotwClient
from support.xds.told import Told
from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, WHOLE


async def test_12_a_version_changes_with_what_the_client_sees(xds: Case) -> None:
    """Check 12; XP «ACK/NACK»: with it always, and with nothing else."""
    await xds.put({CLUSTER: "A B C"})
    async with xds.sotw() as client:
        first = await client.get(CLUSTER, "A", "B")
        await xds.update(CLUSTER, "C")  # not visible to this client
        await client.quiet()
        await xds.update(CLUSTER, "B", version="3")
        second = await client.take()
        await xds.put({CLUSTER: "B C"}, version="4")
        third = await client.take()

        assert len({told.version for told in (first, second, third)}) == 3
        assert third.names == ["B"]


async def test_13_an_acknowledgement_is_not_answered(xds: Case) -> None:
    """Check 13; XP «When to send an update»."""
    await xds.put(dict.fromkeys((CLUSTER, ENDPOINTS, LISTENER, ROUTES), "A B"))
    async with xds.sotw() as client:
        for type_url in (CLUSTER, ENDPOINTS, LISTENER, ROUTES):
            told = await client.get(type_url, "A", "B")
            await client.ack(told)  # and once more
        await client.quiet()


async def test_14_only_error_detail_makes_a_rejection(xds: Case) -> None:
    """Check 14; XP «ACK/NACK»: an old version_info beside the nonce is not a rejection, and the
    new one beside error_detail is.
    """
    await xds.put({CLUSTER: "A", LISTENER: "A"})
    async with xds.sotw() as client:
        accepted = await client.get(CLUSTER)
        await xds.update(CLUSTER, "A")
        second = await client.hear()
        await client.say(
            CLUSTER, version_info=accepted.version, response_nonce=second.nonce
        )  # accepts, with the version of old
        await client.quiet()
        rejected = await _heard(client, LISTENER)
        client.accepted[LISTENER] = rejected.version
        await client.nack(rejected)  # rejects, with the version of the rejected response
        await client.settle()
    async with xds.sotw() as again:
        assert (await again.get(CLUSTER)).contents == second.contents
        await again.ask(LISTENER)
        assert all(told.contents != rejected.contents for told in await again.settle())


async def _heard(client: SotwClient, type_url: str, *names: str) -> Told[bytes]:
    """What is sent for a first request; not yet answered."""
    await client.ask(type_url, *names)
    return await client.hear()


async def test_15_what_was_rejected_is_not_sent_again(xds: Case) -> None:
    """Check 15; XP «ACK/NACK»; go-control-plane #962 loops: nothing until the content changes."""
    await xds.put({CLUSTER: "A B", ROUTES: "A B"})
    async with xds.sotw() as client:
        clusters = await _heard(client, CLUSTER)
        await client.nack(clusters, "cluster A is bad")
        routes = await _heard(client, ROUTES, "A")
        await client.nack(routes, "routes A are bad")
        sent = await client.settle()
        await xds.update(ROUTES, "B")  # something else
        sent += await client.settle()

        bad = {clusters.contents["A"], routes.contents["A"]}
        assert bad.isdisjoint(body for told in sent for body in told.contents.values())


async def test_16_a_rejection_may_change_the_names(xds: Case) -> None:
    """Check 16; XP «Resource updates»; Istio drops the change: both are in the one request."""
    await xds.put({ENDPOINTS: "A B"})
    async with xds.sotw() as client:
        bad = await _heard(client, ENDPOINTS, "A")
        await client.nack(bad, "A is bad", "A", "B")

        told = await client.take()
        assert "B" in told.names
        assert told.contents.get("A") != bad.contents["A"]


async def test_17_after_a_rejection_the_next_version_is_sent_at_once(xds: Case) -> None:
    """Check 17; XP's diagram of a later ACK: and accepting it ends the matter."""
    await xds.put({CLUSTER: "A B", ENDPOINTS: "A"})
    async with xds.sotw() as client:
        first = await _heard(client, CLUSTER)
        await client.nack(first, "A is bad")
        await xds.update(CLUSTER, "A")
        second = await client.take()
        assert second.names == ["A", "B"]
        assert second.contents["A"] != first.contents["A"]

        await xds.update(CLUSTER, "B")
        assert (await client.take()).names == ["A", "B"]


async def test_17_a_version_that_came_before_the_rejection_is_sent(xds: Case) -> None:
    """Check 17; the rejection of one response says nothing of the one that overtook it."""
    await xds.put({ENDPOINTS: "A"})
    async with xds.sotw() as client:
        first = await _heard(client, ENDPOINTS, "A")
        await xds.update(ENDPOINTS, "A")
        second = await client.hear()
        await client.nack(first)
        await client.ack(second)
        await client.quiet()

        await xds.update(ENDPOINTS, "A")
        assert (await client.take()).names == ["A"]


async def test_18_a_stale_nonce_is_not_answered(xds: Case) -> None:
    """Check 18; XP «Resource updates»: nor is it an acknowledgement or a rejection."""
    await xds.put({CLUSTER: "A"})
    async with xds.sotw() as client:
        first = await _heard(client, CLUSTER)
        await xds.update(CLUSTER, "A")
        second = await client.hear()
        await client.nack(first)  # stale by now
        await client.quiet()
        await client.ack(second)
        await client.quiet()
    async with xds.sotw() as again:
        assert (await again.get(CLUSTER)).contents == second.contents


async def test_19_a_name_that_races_with_a_push_is_not_lost(xds: Case) -> None:
    """Check 19; envoy #10363: asked for with a nonce that has just become stale, and asked for
    again with the newer one.
    """
    await xds.put({ENDPOINTS: "A B"})
    async with xds.sotw() as client:
        first = await client.get(ENDPOINTS, "A")
        await xds.update(ENDPOINTS, "A")  # its push has not been read yet
        await client.ask(ENDPOINTS, "A", "B", nonce=first.nonce)
        pushed = await client.take()  # restates both names
        assert "A" in pushed.names

        seen = set(pushed.names)
        while "B" not in seen:
            seen.update((await client.take()).names)
        await client.quiet()


async def test_20_the_last_of_several_requests_counts(xds: Case) -> None:
    """Check 20; XP: a newer request takes the place of those before it."""
    await xds.put({ENDPOINTS: "A B C"})
    async with xds.sotw() as client:
        await client.get(ENDPOINTS, "A")
        nonce = client.heard[-1].nonce
        await client.ask(ENDPOINTS, "A", "B", nonce=nonce)
        await client.ask(ENDPOINTS, "A", "C", nonce=nonce)
        seen: set[str] = set()
        while "C" not in seen:
            seen.update((await client.take()).names)
        await client.quiet()
        await xds.update(ENDPOINTS, "B")
        await client.quiet()
        await xds.update(ENDPOINTS, "C")

        assert (await client.take()).names == ["C"]


async def test_21_a_version_from_before_may_only_silence_a_wildcard(xds: Case) -> None:
    """Check 21; grpc-go #7013: the version says nothing about a name that may be new."""
    await xds.put({CLUSTER: "A B", ENDPOINTS: "A B", ROUTES: "A B"})
    async with xds.sotw() as before:
        clusters = await before.get(CLUSTER)
        assigned = await before.get(ENDPOINTS, "A")
        routes = await before.get(ROUTES, "A")
    async with xds.sotw() as client:
        for told in (clusters, assigned, routes):
            client.accepted[told.type_url] = told.version

        assert (await client.get(ENDPOINTS, "A", "B")).names == ["A", "B"]
        assert (await client.get(ROUTES, "A")).contents == routes.contents
        await client.ask(CLUSTER, "B")  # other names than that version was of
        assert (await client.take()).names == ["B"]


async def test_21_another_version_than_the_present_one_is_answered(xds: Case) -> None:
    """Check 21; what a client says it holds counts only if it is what it is to hold."""
    await xds.put({LISTENER: "A B"})
    async with xds.sotw() as before:
        held = await before.get(LISTENER)
    await xds.update(LISTENER, "A")
    async with xds.sotw() as client:
        client.accepted[LISTENER] = held.version

        assert (await client.get(LISTENER)).contents["A"] != held.contents["A"]


async def test_22_all_types_at_once_on_reconnect(xds: Case) -> None:
    """Check 22; seen of grpcio: first requests in one burst, with old versions, no nonce, and the
    node on the first alone; every name must be answered.
    """
    burst = (LISTENER, ROUTES, ENDPOINTS, CLUSTER)
    await xds.put(dict.fromkeys(burst, "A"))
    async with xds.sotw() as before:
        held = {t: (await before.get(t, "A")).version for t in (CLUSTER, ENDPOINTS, LISTENER)}
        held[ROUTES] = (await before.get(ROUTES, "A")).version
    async with xds.sotw() as client:
        for number, type_url in enumerate(burst):
            node = {"node": client.node} if number == 0 else {}
            client.names[type_url] = ["A"]
            await client.say(type_url, resource_names=["A"], version_info=held[type_url], **node)
        answered = {(await client.take()).type_url for _ in burst}

        assert answered == set(burst)


async def test_23_one_version_is_always_the_same_bytes(xds: Case) -> None:
    """Check 23; TP1 «Caching»: also when content comes back, and on the next stream."""
    seen: dict[tuple[str, str, tuple[str, ...]], dict[str, bytes]] = {}

    def remember(told: Told[bytes], *asked: str) -> None:
        bodies = dict(told.contents)
        assert seen.setdefault((told.type_url, told.version, asked), bodies) == bodies

    labels = map(str, itertools.count(1))
    for _ in range(2):
        for names in ("A B", "A", "A B"):
            await xds.put(dict.fromkeys(WHOLE, names), version=next(labels))
            async with xds.sotw() as client:
                for type_url in WHOLE:
                    remember(await client.get(type_url))
                    await xds.update(type_url, "A", version=next(labels))
                    remember(await client.take())
    assert len(seen) > 8
