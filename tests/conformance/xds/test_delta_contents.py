"""Checks 46 to 50 and 66 to 68: what a delta response holds, and reconnecting."""

from __future__ import annotations

from typing import Any

import pytest

from support.xds import contents
from support.xds.case import Case
from support.xds.contents import Item
from support.xds.towpath_target import TowpathTarget, towpath_target
from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, TYPES, WHOLE
from support.xds.types import short as short_name

each_type = pytest.mark.parametrize("type_url", TYPES, ids=short_name)
whole_types = pytest.mark.parametrize("type_url", WHOLE, ids=short_name)
NAMED = (ENDPOINTS, ROUTES, SECRET)


@each_type
async def test_46_a_response_holds_what_changed_and_nothing_else(xds: Case, type_url: str) -> None:
    """Check 46; XP «Incremental xDS»: each resource with its own version."""
    await xds.put({type_url: "A B C"})
    async with xds.delta() as client:
        first = await client.get(type_url, "A", "B", "C")
        await xds.update(type_url, "B")
        changed = await client.take()
        await xds.remove(type_url, "C")
        removed = await client.take()
        await xds.add(type_url, "C")
        added = await client.take()

    assert (changed.names, changed.removed) == (["B"], ())
    assert changed.versions["B"] != first.versions["B"]
    assert (removed.names, removed.removed) == ([], ("C",))
    assert added.contents == {"C": first.contents["C"]}
    assert added.versions["C"] == first.versions["C"]  # the same content again


@whole_types
async def test_46_a_wildcard_for_nothing_is_answered_with_nothing(xds: Case, type_url: str) -> None:
    """Check 46; a client that starts waits for this answer, were it empty."""
    await xds.put({})
    async with xds.delta() as client:
        told = await client.get(type_url)

        assert (told.names, told.removed) == ([], ())


async def test_13_an_acknowledgement_is_not_answered(xds: Case) -> None:
    """Check 13 for delta."""
    await xds.put(dict.fromkeys(TYPES, "A"))
    async with xds.delta() as client:
        for type_url in TYPES:
            await client.ack(await client.get(type_url, "A"))
        await client.quiet()


async def test_15_what_was_rejected_is_not_sent_again(xds: Case) -> None:
    """Check 15 for delta; go-control-plane takes a rejection for a success there."""
    await xds.put({ENDPOINTS: "A B", CLUSTER: "X"})
    async with xds.delta() as client:
        await client.ask(ENDPOINTS, "A", "B")
        bad = await client.hear()
        await client.nack(bad, "A is bad")
        sent = await client.settle()
        await xds.update(ENDPOINTS, "B")
        sent += await client.settle()
        assert bad.contents["A"] not in {b for told in sent for b in told.contents.values()}
        assert any("B" in told.contents for told in sent)

        await xds.update(ENDPOINTS, "A")
        assert (await client.take()).names == ["A"]


@pytest.mark.parametrize("variant", ["sotw", "delta"])
async def test_15_nor_on_the_next_stream(towpath: TowpathTarget, variant: str) -> None:
    """Check 15; a client that rejected something does so again after a reconnect."""
    case = Case(towpath, "again.conformance")
    await case.put({ENDPOINTS: "A B"})
    open_stream: Any = case.sotw if variant == "sotw" else case.delta
    async with open_stream() as client:
        await client.ask(ENDPOINTS, "A")
        bad = await client.hear()
        await client.nack(bad, "A is bad")
        await client.settle()
    async with open_stream() as client:
        await client.ask(ENDPOINTS, "A", "B")
        sent = await client.settle()

    bodies = {body for told in sent for body in told.contents.values()}
    assert bad.contents["A"] not in bodies
    assert any("B" in told.contents for told in sent)


async def test_49_equal_states_give_equal_bytes_and_versions(
    xds: Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Check 49; Envoy Gateway pushed without need: the order of what is put in does not show, and
    another replica says the same.
    """
    order = {ROUTES: "A B C", CLUSTER: "A B C", LISTENER: "A B C"}
    reverse = dict.fromkeys(reversed(order), "C B A")
    seen = []
    async with towpath_target(tmp_path_factory.mktemp("second")) as second:
        replica = Case(second, xds.node)
        for case, held in ((xds, order), (xds, reverse), (replica, reverse)):
            await case.put(held)
            async with case.delta() as client:
                told = [await client.get(type_url, "*") for type_url in WHOLE]
                told.append(await client.get(ROUTES, "A", "B", "C"))
                seen.append([t.message.SerializeToString(deterministic=True) for t in told])

    assert seen[0] == seen[1]
    # Another server than Towpath is compared with itself alone.
    assert seen[0] == seen[2] or not isinstance(xds.target, TowpathTarget)


async def test_50_a_cluster_removed_and_added_again_gets_its_endpoints(xds: Case) -> None:
    """Check 50; go-control-plane #583: clients that dropped the cluster dropped its endpoints."""
    held = {CLUSTER: "A B", ENDPOINTS: "A B"}
    await xds.put(held)
    async with xds.delta() as client:
        await client.get(CLUSTER)
        first = await client.get(ENDPOINTS, "A", "B")
        await xds.put({CLUSTER: "B", ENDPOINTS: "B"})
        while "A" not in (await client.take()).removed:
            pass
        await client.settle()
        await xds.put(held)
        sent = await client.settle()

    assert [t.type_url for t in sent if "A" in t.contents] == [CLUSTER, ENDPOINTS]
    assert sent[-1].contents["A"] == first.contents["A"]


async def test_50_the_same_in_sotw(xds: Case) -> None:
    """Check 50 for SotW."""
    held = {CLUSTER: "A B", ENDPOINTS: "A B"}
    await xds.put(held)
    async with xds.sotw() as client:
        await client.get(CLUSTER)
        await client.get(ENDPOINTS, "A", "B")
        await xds.put({CLUSTER: "B", ENDPOINTS: "B"})
        await client.settle()
        await xds.put(held)
        sent = await client.settle()

    assert [t.type_url for t in sent if "A" in t.contents] == [CLUSTER, ENDPOINTS]


@each_type
async def test_66_what_the_client_holds_is_not_sent_again(xds: Case, type_url: str) -> None:
    """Check 66; DP: `initial_resource_versions` says it; what is gone by now is removed."""
    await xds.put({type_url: "A B C"})
    async with xds.delta() as before:
        held = (await before.get(type_url, "A", "B", "C")).versions
    await xds.put({type_url: {"A": Item(), "B": Item(2)}})
    async with xds.delta() as client:
        told = await client.get(type_url, "A", "B", "C", initial=held)
        # Routes that still lead to a cluster may come back first: it may go a little later.
        removed = told.removed or (await client.take()).removed

    assert told.names == ["B"]
    assert removed == ("C",)


@whole_types
async def test_66_the_same_with_the_wildcard(xds: Case, type_url: str) -> None:
    """Check 66; and a client that holds all of it already is not kept waiting."""
    await xds.put({type_url: "A B C"})
    async with xds.delta() as before:
        held = (await before.get(type_url, "*")).versions
    await xds.put({type_url: {"A": Item(), "B": Item(2)}})
    async with xds.delta() as client:
        told = await client.get(type_url, "*", initial=held)
        removed = told.removed or (await client.take()).removed

    assert told.names == ["B"]
    assert removed == ("C",)


async def test_66_versions_count_in_the_first_request_alone(xds: Case) -> None:
    """Check 66; DP: later ones are to be empty; one that is not changes nothing."""
    await xds.put({ENDPOINTS: "A B"})
    async with xds.delta() as client:
        first = await client.get(ENDPOINTS, "A", "B")
        await client.ask(ENDPOINTS, initial={"A": "of no matter", "B": first.versions["A"]})
        await client.quiet()
        await xds.update(ENDPOINTS, "A")
        assert (await client.take()).names == ["A"]


async def test_67_nothing_is_kept_from_the_stream_before(xds: Case) -> None:
    """Check 67; XP: a client that reconnects says again what it wants."""
    await xds.put({ENDPOINTS: "A B"})
    async with xds.delta() as before:
        await before.get(ENDPOINTS, "A", "B")
    async with xds.delta() as client:
        assert (await client.get(ENDPOINTS, "A")).names == ["A"]
        await xds.update(ENDPOINTS, "B")
        await client.quiet()


async def test_68_a_reconnect_may_state_more_than_4_mib(xds: Case) -> None:
    """Check 68; Istio and Envoy Gateway met gRPC's default limit: a version for each of 40,000."""
    await xds.put({CLUSTER: "A"})
    async with xds.delta() as before:
        held = dict((await before.get(CLUSTER, "*")).versions)
    gone = {f"{number:06d}-{'x' * 90}": "0" * 20 for number in range(40_000)}
    async with xds.delta() as client:
        responses = [await client.get(CLUSTER, "*", initial=held | gone)]
        while sum(len(told.removed) for told in responses) < len(gone):
            responses.append(await client.take())
        await client.quiet()

    assert all(told.names == [] for told in responses)
    assert {name for told in responses for name in told.removed} == set(gone)
    assert sum(map(len, gone)) > 3 << 20


def test_a_resource_is_completed_only_if_it_has_but_a_name() -> None:
    """The contents above: what the adapter is given whole stays as it is."""
    whole = contents.message(CLUSTER, "A", Item(7))

    assert contents.completed(whole) == whole
    assert contents.completed(contents.named(CLUSTER, "A")) == contents.message(
        CLUSTER, "A", Item()
    )
