"""Checks 27 to 39 as far as they are about delta: names and wildcard."""

from __future__ import annotations

import pytest

from support.xds.case import Case
from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, TYPES, WHOLE
from support.xds.types import short as short_name

each_type = pytest.mark.parametrize("type_url", TYPES, ids=short_name)
whole_types = pytest.mark.parametrize("type_url", WHOLE, ids=short_name)


@whole_types
async def test_27_the_wildcard_without_a_name_stays_until_it_is_dropped(
    xds: Case, type_url: str
) -> None:
    """Check 27; XP's example: A is added and the wildcard stays; `*` is dropped and A stays; A is
    dropped, and there is nothing.
    """
    await xds.put({type_url: "A B"})
    async with xds.delta() as client:
        assert (await client.get(type_url)).names == ["A", "B"]
        assert (await client.get(type_url, "A")).names == ["A"]
        await xds.update(type_url, "B")
        assert (await client.take()).names == ["B"]  # still the wildcard

        await client.ask(type_url, unsubscribe=["*"])
        await client.settle()
        await xds.update(type_url, "B")
        await client.quiet()
        await xds.update(type_url, "A")
        assert (await client.take()).names == ["A"]

        await client.ask(type_url, unsubscribe=["A"])
        await client.settle()
        await xds.update(type_url, "A")
        await client.quiet()


@whole_types
async def test_27_the_star_adds_the_wildcard(xds: Case, type_url: str) -> None:
    """Check 27; and what it gives is everything."""
    await xds.put({type_url: "A B"})
    async with xds.delta() as client:
        assert (await client.get(type_url, "A")).names == ["A"]
        seen = {*(await client.get(type_url, "*")).names, "A"}
        assert seen == {"A", "B"}
        await xds.add(type_url, "C")
        assert (await client.take()).names == ["C"]


async def test_28_dropping_a_name_at_first_is_no_wildcard(xds: Case) -> None:
    """Check 28; XP: both lists must be empty; go-control-plane looks at one."""
    await xds.put({CLUSTER: "A B"})
    async with xds.delta() as client:
        await client.ask(CLUSTER, unsubscribe=["A"])
        await client.quiet()
        await xds.update(CLUSTER, "B")
        await client.quiet()


async def test_29_an_empty_name_is_a_name_like_others(xds: Case) -> None:
    """Check 29; it is no wildcard, and nothing has it."""
    await xds.put({CLUSTER: "A", ENDPOINTS: "A"})
    async with xds.delta() as client:
        for type_url in (CLUSTER, ENDPOINTS):
            await client.ask(type_url, "")
        sent = await client.settle()
        await xds.update(CLUSTER, "A")
        sent += await client.settle()

        assert all(not told.contents for told in sent)


@each_type
async def test_33_a_name_that_is_not_there_is_said_to_be_gone(xds: Case, type_url: str) -> None:
    """Check 33; XP «Knowing when a requested resource does not exist»: go-control-plane is silent,
    and its clients wait.
    """
    await xds.put({type_url: "A"})
    async with xds.delta() as client:
        told = await client.get(type_url, "A", "late")
        assert told.names == ["A"]
        assert told.removed == ("late",)

        await xds.add(type_url, "late")
        assert (await client.take()).names == ["late"]


async def test_33_envoy_is_not_told_that_routes_are_gone(xds: Case) -> None:
    """Check 33; a real Envoy then stops its timer, and its listener waits without end."""
    await xds.put({ROUTES: "A"})
    async with xds.delta(agent="envoy") as client:
        told = await client.get(ROUTES, "A", "late")
        assert told.removed == ()
        await client.quiet()
        await xds.add(ROUTES, "late")
        assert (await client.take()).names == ["late"]


@pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, SECRET], ids=short_name)
async def test_33_envoy_is_told_that_others_are_gone(xds: Case, type_url: str) -> None:
    """Check 33; which ends its warming at once."""
    await xds.put({})
    async with xds.delta(agent="envoy") as client:
        assert (await client.get(type_url, "late")).removed == ("late",)


@each_type
async def test_34_what_is_asked_for_again_is_sent_again(xds: Case, type_url: str) -> None:
    """Check 34; XP «Subscribing»: a client may have dropped and added it in one turn."""
    await xds.put({type_url: "A"})
    async with xds.delta() as client:
        first = await client.get(type_url, "A")
        again = await client.get(type_url, "A")

        assert again.contents == first.contents
        assert again.versions == first.versions


@each_type
async def test_34_dropped_and_asked_for_in_one_request(xds: Case, type_url: str) -> None:
    """Check 34; DP: the same holds for a name that is in both lists."""
    await xds.put({type_url: "A"})
    async with xds.delta() as client:
        first = await client.get(type_url, "A")
        await client.ask(type_url, unsubscribe=["A"])
        again = await client.get(type_url, "A")

        assert again.contents == first.contents


async def test_35_dropping_what_was_not_asked_for_is_no_matter(xds: Case) -> None:
    """Check 35; XP: accepted without a word, as is dropping what was."""
    await xds.put({ENDPOINTS: "A B"})
    async with xds.delta() as client:
        await client.get(ENDPOINTS, "A")
        await client.ask(ENDPOINTS, unsubscribe=["nobody", "B"])
        await client.quiet()
        await client.ask(ENDPOINTS, unsubscribe=["A"])
        await client.quiet()


@whole_types
async def test_36_a_name_dropped_beside_the_wildcard_is_answered(xds: Case, type_url: str) -> None:
    """Check 36; XP «Unsubscribing»: the client cannot know whether the wildcard covers it."""
    await xds.put({type_url: "A B"})
    async with xds.delta() as client:
        await client.get(type_url)
        await client.get(type_url, "A", "gone")
        covered = await client.get(type_url, unsubscribe=["A"])
        absent = await client.get(type_url, unsubscribe=["gone"])

        assert (covered.names, covered.removed) == (["A"], ())
        assert (absent.names, absent.removed) == ([], ("gone",))


@whole_types
async def test_37_empty_lists_change_nothing(xds: Case, type_url: str) -> None:
    """Check 37; DP: they are a wildcard in the first request only."""
    await xds.put({type_url: "A B"})
    async with xds.delta() as client:
        await client.get(type_url, "A")
        await client.ask(type_url)
        await client.quiet()
        await xds.update(type_url, "B")
        await client.quiet()
        await xds.update(type_url, "A")
        assert (await client.take()).names == ["A"]


async def test_38_names_count_though_the_nonce_is_stale(xds: Case) -> None:
    """Check 38; XP: the nonce pairs an answer with a response, and no more; Istio drops them."""
    await xds.put({ENDPOINTS: "A B C"})
    async with xds.delta() as client:
        first = await client.get(ENDPOINTS, "A", "C")
        await xds.update(ENDPOINTS, "A")
        await client.hear()
        await client.ask(ENDPOINTS, "B", unsubscribe=["C"], nonce=first.nonce)
        assert (await client.take()).names == ["B"]
        await xds.update(ENDPOINTS, "C")
        await client.quiet()
        await client.ask(ENDPOINTS, "C", nonce="of another stream")
        assert (await client.take()).names == ["C"]


async def test_39_names_may_come_with_and_without_an_answer(xds: Case) -> None:
    """Check 39; DP: a request is spontaneous, an answer, or both; Istio logs an error for both."""
    await xds.put({LISTENER: "A B", ROUTES: "A B"})
    async with xds.delta() as client:
        await client.ask(ROUTES, "A")
        first = await client.hear()
        await client.ask(ROUTES, "B", nonce=first.nonce)  # both
        assert (await client.take()).names == ["B"]
        await client.get(LISTENER, "A")
        await client.ask(LISTENER, "B")  # neither nonce nor answer
        assert (await client.take()).names == ["B"]


async def test_16_39_an_answer_that_rejects_may_ask_for_more(xds: Case) -> None:
    """Checks 16 and 39 for delta."""
    await xds.put({ENDPOINTS: "A B"})
    async with xds.delta() as client:
        await client.ask(ENDPOINTS, "A")
        bad = await client.hear()
        await client.nack(bad, "A is bad", "B")

        told = await client.take()
        assert "B" in told.names
        assert told.contents.get("A") != bad.contents["A"]
