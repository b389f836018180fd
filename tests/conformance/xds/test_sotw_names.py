"""Checks 24 to 32 and 40 to 45 as far as they are about SotW: names, wildcard, what is sent."""

from __future__ import annotations

import pytest

from support.xds.case import Case
from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, WHOLE
from support.xds.types import short as short_name

NAMED = (ENDPOINTS, ROUTES, SECRET)
whole_types = pytest.mark.parametrize("type_url", WHOLE, ids=short_name)
named_types = pytest.mark.parametrize("type_url", NAMED, ids=short_name)
ENVOY = "envoy"


@whole_types
async def test_24_naming_nothing_is_asking_for_everything(xds: Case, type_url: str) -> None:
    """Check 24; XP «How the client specifies what resources to return»: as long as no request has
    named anything.
    """
    await xds.put({type_url: "A B"})
    async with xds.sotw() as client:
        assert (await client.get(type_url)).names == ["A", "B"]
        await xds.add(type_url, "C")
        assert (await client.take()).names == ["A", "B", "C"]


@whole_types
async def test_25_the_star_is_kept_dropped_and_not_come_back_to(xds: Case, type_url: str) -> None:
    """Check 25; the four steps of XP's example: `*` and A, then A, then nothing at all."""
    await xds.put({type_url: "A B"})
    async with xds.sotw() as client:
        assert (await client.get(type_url, "*", "A")).names == ["A", "B"]
        assert (await client.get(type_url, "A")).names == ["A"]
        await client.ask(type_url)  # everything is unsubscribed: no wildcard again
        sent = await client.settle()
        assert all(not told.contents for told in sent)
        await xds.update(type_url, "A")
        await client.quiet()


@whole_types
async def test_25_a_name_added_to_a_wildcard_without_a_name_ends_it(
    xds: Case, type_url: str
) -> None:
    """Check 25; XP: once a request has named something, only `*` is the wildcard."""
    await xds.put({type_url: "A B"})
    async with xds.sotw() as client:
        assert (await client.get(type_url)).names == ["A", "B"]
        assert (await client.get(type_url, "A")).names == ["A"]


@named_types
async def test_26_naming_nothing_is_asking_for_nothing(xds: Case, type_url: str) -> None:
    """Check 26; Istio takes it so; go-control-plane's wildcard for each type floods gRPC."""
    await xds.put({type_url: "A"})
    async with xds.sotw() as client:
        await client.ask(type_url)
        sent = await client.settle()
        await xds.update(type_url, "A")
        sent += await client.settle()

        assert all(not told.contents for told in sent)


async def test_29_an_empty_name_is_a_name_like_others(xds: Case) -> None:
    """Check 29; the public harness sends it for «nothing»: it is no wildcard, and not there."""
    await xds.put({CLUSTER: "A", ROUTES: "A"})
    async with xds.sotw() as client:
        sent = []
        for type_url in (CLUSTER, ROUTES):
            await client.get(type_url, "A")
            await client.ask(type_url, "")
            sent += await client.settle()
        await xds.update(CLUSTER, "A")
        sent += await client.settle()

        assert all(not told.contents for told in sent)


@pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET], ids=short_name)
async def test_30_a_new_name_is_sent_though_nothing_changed(xds: Case, type_url: str) -> None:
    """Check 30; XP «Resource updates»: even if the client has been sent it before."""
    await xds.put({type_url: "A B"})
    async with xds.sotw() as client:
        first = await client.get(type_url, "A")
        told = await client.get(type_url, "A", "B")

        assert "B" in told.contents
        assert first.names == ["A"]


@whole_types
async def test_30_a_name_beside_the_star_is_sent_though_all_is(xds: Case, type_url: str) -> None:
    """Check 30; the version is the same, but a client may have forgotten what it did not name."""
    await xds.put({type_url: "A B"})
    async with xds.sotw() as client:
        first = await client.get(type_url, "*")
        told = await client.get(type_url, "*", "A")

        assert told.contents == first.contents


@pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET], ids=short_name)
async def test_31_a_name_dropped_and_asked_for_again_is_sent(xds: Case, type_url: str) -> None:
    """Check 31; the client forgot it when it dropped the name."""
    await xds.put({type_url: "A B"})
    async with xds.sotw() as client:
        first = await client.get(type_url, "A", "B")
        await client.ask(type_url, "A")
        await client.settle()
        await client.ask(type_url, "A", "B")
        told = await client.take()

        assert told.contents["B"] == first.contents["B"]


@pytest.mark.parametrize("agent", ["conformance", ENVOY])
@pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET], ids=short_name)
async def test_32_a_name_that_is_not_there_is_sent_when_it_is(
    xds: Case, type_url: str, agent: str
) -> None:
    """Check 32; XP «Knowing when a requested resource does not exist»: and nothing is made up for
    it in the meantime, but what check 64 asks.
    """
    await xds.put({type_url: "A"})
    async with xds.sotw(agent=agent) as client:
        await client.get(type_url, "A", "late")
        sent = await client.settle()
        made_up = [told for told in sent if "late" in told.contents]
        assert not made_up or (type_url == ENDPOINTS and agent == ENVOY)

        await xds.add(type_url, "late")
        told = await client.take()
        assert "late" in told.contents


@whole_types
async def test_42_what_is_left_out_is_deleted(xds: Case, type_url: str) -> None:
    """Check 42; XP «Deleting resources»: an empty response deletes all."""
    await xds.put({type_url: "A B"})
    async with xds.sotw() as client:
        await client.get(type_url)
        await xds.remove(type_url, "A")
        assert (await client.take()).names == ["B"]
        await xds.remove(type_url, "B")
        last = await client.take()

        assert last.type_url == type_url
        assert last.names == []


@whole_types
async def test_42_a_wildcard_for_nothing_is_answered_with_nothing(xds: Case, type_url: str) -> None:
    """Check 42; a client that starts waits for this answer, were it empty."""
    await xds.put({})
    async with xds.sotw() as client:
        assert (await client.get(type_url)).names == []


@named_types
async def test_43_44_routes_and_their_like_go_with_their_parents(xds: Case, type_url: str) -> None:
    """Checks 43 and 44; XP «Deleting resources»: what is left out is kept, so a response for what
    is gone would say nothing; and what is there changes alone.
    """
    await xds.put({type_url: "A B"})
    async with xds.sotw() as client:
        await client.get(type_url, "A", "B")
        await xds.remove(type_url, "A")
        await client.quiet()
        await xds.update(type_url, "B")

        assert (await client.take()).names == ["B"]


async def test_45_no_name_comes_twice(xds: Case) -> None:
    """Check 45; a client must reject such a response. (The client checks each response.)"""
    await xds.put(dict.fromkeys((*WHOLE, *NAMED), "A B"))
    async with xds.sotw() as client:
        for type_url in (*WHOLE, *NAMED):
            await client.ask(type_url, "A", "B", "A", *(["*"] if type_url in WHOLE else []))
            assert (await client.take()).names == ["A", "B"]
