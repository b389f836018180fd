"""The public xDS test harness's 18 scenarios, in its four variants, through its own adapter.

Its numbers stand in the tests' names; its fixed sleeps are gone. It compares labels: 1, then 2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest

from support.xds.adapter import RemoteAdapter
from support.xds.case import Case
from support.xds.client import DeltaClient, SotwClient
from support.xds.labels import labelled_towpath
from support.xds.target import Target
from support.xds.told import Told
from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from support.xds.types import short as short_name


@dataclass(frozen=True)
class Variant:
    """A type, on the aggregated stream or on its own."""

    type_url: str
    aggregated: bool

    @property
    def own(self) -> str:
        return "" if self.aggregated else self.type_url

    def __str__(self) -> str:
        return f"{short_name(self.type_url)}-{'aggregated' if self.aggregated else 'alone'}"


def _variants(*types: str) -> pytest.MarkDecorator:
    variants = [Variant(type_url, aggregated) for type_url in types for aggregated in (True, False)]
    return pytest.mark.parametrize("variant", variants, ids=str)


whole_types = _variants(CLUSTER, LISTENER)
part_types = _variants(ROUTES, ENDPOINTS)
all_types = _variants(CLUSTER, LISTENER, ROUTES, ENDPOINTS)
pairs = pytest.mark.parametrize(
    ("first", "second"),
    [(CLUSTER, LISTENER), (ROUTES, ENDPOINTS)],
    ids=["clusters-listeners", "routes-endpoints"],
)
all_pairs = pytest.mark.parametrize(
    ("first", "second"),
    [(CLUSTER, LISTENER), (LISTENER, CLUSTER), (ROUTES, ENDPOINTS), (ENDPOINTS, ROUTES)],
    ids=short_name,
)


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[Target]:
    """The server through its adapter; both on unix sockets."""
    addresses = f"unix:{tmp_path}/xds.sock", f"unix:{tmp_path}/adapter.sock"
    async with (
        labelled_towpath(tmp_path, xds=addresses[0], adapter_at=addresses[1]),
        grpc.aio.insecure_channel(addresses[1]) as channel,
    ):
        yield Target(addresses[0], RemoteAdapter(channel))


async def _hold(xds: Case, variant: Variant, names: str) -> None:
    await xds.put({variant.type_url: names}, probed=variant.own or ROUTES)


async def _done(client: SotwClient | DeltaClient) -> None:
    """The service never responds more than necessary."""
    await client.quiet()
    assert client.requests > len(client.heard)


@whole_types
async def test_scenario_1_a_wildcard_is_all_in_one_response(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B C")
    async with xds.sotw(own=variant.own) as client:
        told = await client.get(variant.type_url)

        assert (told.names, told.version) == (["A", "B", "C"], "1")
        await _done(client)


@whole_types
async def test_scenario_2_one_changes_and_all_come(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B C")
    async with xds.sotw(own=variant.own) as client:
        first = await client.get(variant.type_url)
        await xds.update(variant.type_url, "A")
        told = await client.take()

        assert (told.names, told.version) == (["A", "B", "C"], "2")
        assert told.contents["A"] != first.contents["A"]
        await _done(client)


@whole_types
async def test_scenario_3_one_more_and_all_come(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B C")
    async with xds.sotw(own=variant.own) as client:
        await client.get(variant.type_url)
        await xds.add(variant.type_url, "D")
        told = await client.take()

        assert (told.names, told.version) == (["A", "B", "C", "D"], "2")
        await _done(client)


@all_types
async def test_scenario_4_named_ones_alone(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B C D")
    async with xds.sotw(own=variant.own) as client:
        told = await client.get(variant.type_url, "A", "B")

        assert (told.names, told.version) == (["A", "B"], "1")
        await _done(client)


@all_types
async def test_scenario_4_named_ones_alone_in_delta(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B C D")
    async with xds.delta(own=variant.own) as client:
        told = await client.get(variant.type_url, "A", "B")

        assert (told.names, told.version) == (["A", "B"], "1")
        await _done(client)


@whole_types
async def test_scenario_5_one_of_the_named_changes_and_all_come(
    xds: Case, variant: Variant
) -> None:
    await _hold(xds, variant, "A B C D")
    async with xds.sotw(own=variant.own) as client:
        await client.get(variant.type_url, "A", "B", "C")
        await xds.update(variant.type_url, "B")
        told = await client.take()

        assert (told.names, told.version) == (["A", "B", "C"], "2")
        await _done(client)


@part_types
async def test_scenario_6_one_of_the_named_changes_and_comes(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B C D")
    async with xds.sotw(own=variant.own) as client:
        await client.get(variant.type_url, "A", "B", "C")
        await xds.update(variant.type_url, "B")
        told = await client.take()

        assert ("B" in told.names, told.version) == (True, "2")
        await _done(client)


@whole_types
async def test_scenario_7_a_missing_one_comes_with_all(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B")
    async with xds.sotw(own=variant.own) as client:
        told = await client.get(variant.type_url, "A", "B", "C")
        assert (told.names, told.version) == (["A", "B"], "1")
        await xds.add(variant.type_url, "C")
        told = await client.take()

        assert (told.names, told.version) == (["A", "B", "C"], "2")
        await _done(client)


@part_types
async def test_scenario_8_a_missing_one_comes(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B")
    async with xds.sotw(own=variant.own) as client:
        told = await client.get(variant.type_url, "A", "B", "C")
        assert (told.names, told.version) == (["A", "B"], "1")
        await xds.add(variant.type_url, "C")
        told = await client.take()

        assert ("C" in told.names, told.version) == (True, "2")
        await _done(client)


@pairs
async def test_scenario_9_two_types_on_one_stream(xds: Case, first: str, second: str) -> None:
    await xds.put({first: "A B", second: "A B"})
    async with xds.sotw() as client:
        assert (await client.get(first, "A", "B")).version == "1"
        told = await client.get(second, "A", "B")
        assert (told.names, told.version) == (["A", "B"], "1")
        # As the harness does: the second type's nonce comes in a request of the first.
        await client.ask(first, "A", "B", nonce=told.nonce)
        await xds.update(first, "A")
        sent = await client.settle()

        assert [told.version for told in sent if told.type_url == first and "A" in told.names] == [
            "2"
        ]
        assert client.requests > len(client.heard)


@whole_types
async def test_scenario_10_fewer_names_then_a_change(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B C")
    async with xds.sotw(own=variant.own) as client:
        await client.get(variant.type_url, "A", "B", "C")
        await client.ask(variant.type_url, "A")
        await client.settle()
        await xds.update(variant.type_url, "A")
        told = await client.take()

        assert ("A" in told.names, told.version) == (True, "2")
        assert client.requests > len(client.heard)


@part_types
async def test_scenario_11_fewer_names_then_a_change_of_it_alone(
    xds: Case, variant: Variant
) -> None:
    await _hold(xds, variant, "A B C")
    async with xds.sotw(own=variant.own) as client:
        await client.get(variant.type_url, "A", "B", "C")
        await client.ask(variant.type_url, "A")
        await client.settle()
        await xds.update(variant.type_url, "B")
        await client.quiet()
        await xds.update(variant.type_url, "A")
        told = await client.take()

        assert (told.names, told.version) == (["A"], "2")
        await _done(client)


@all_types
async def test_scenario_12_no_names_no_changes(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B C")
    async with xds.sotw(own=variant.own) as client:
        await client.get(variant.type_url, "A", "B", "C")
        await client.ask(variant.type_url, "")
        sent = await client.settle()
        await xds.update(variant.type_url, "A")
        sent += await client.settle()

        assert not any(told.contents for told in sent)


@all_types
async def test_scenario_13_one_by_one(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B C")
    async with xds.delta(own=variant.own) as client:
        for name in ("A", "B"):
            told = await client.get(variant.type_url, name)
            assert (told.names, told.version) == ([name], "1")
        await _done(client)


@all_types
async def test_scenario_14_what_changes_has_a_version_of_its_own(
    xds: Case, variant: Variant
) -> None:
    await _hold(xds, variant, "A B C")
    async with xds.delta(own=variant.own) as client:
        first = await client.get(variant.type_url, "A", "B", "C")
        await xds.update(variant.type_url, "A")
        told = await client.take()

        assert (told.names, told.version) == (["A"], "2")
        assert told.versions["A"] not in first.versions.values()
        assert told.nonce != first.nonce
        await _done(client)


@all_types
async def test_scenario_15_a_missing_one_comes(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A")
    async with xds.delta(own=variant.own) as client:
        first = await client.get(variant.type_url, "A", "B")
        assert (first.names, first.version) == (["A"], "1")
        assert first.removed == ("B",)
        await xds.add(variant.type_url, "B")
        told = await client.take()

        assert (told.names, told.version) == (["B"], "2")
        assert told.nonce != first.nonce
        await _done(client)


@all_types
async def test_scenario_16_gone_and_back(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B C")
    async with xds.delta(own=variant.own) as client:
        await client.get(variant.type_url, "A", "B", "C")
        await xds.remove(variant.type_url, "B")
        gone: Told[bytes] = await client.take()
        assert (gone.names, gone.removed) == ([], ("B",))
        await xds.add(variant.type_url, "B")
        told = await client.take()

        assert (told.names, told.version) == (["B"], "2")
        await _done(client)


@all_types
async def test_scenario_17_what_is_not_asked_for_does_not_come(xds: Case, variant: Variant) -> None:
    await _hold(xds, variant, "A B")
    async with xds.delta(own=variant.own) as client:
        await client.get(variant.type_url, "A", "B")
        for name in ("B", "A"):
            await client.ask(variant.type_url, unsubscribe=[name])
            await client.quiet()
            await xds.update(variant.type_url, name)
            await client.quiet()
        await _done(client)


@all_pairs
async def test_scenario_18_two_types_on_one_stream_in_delta(
    xds: Case, first: str, second: str
) -> None:
    await xds.put({first: "A B", second: "A B"})
    async with xds.delta() as client:
        for type_url in (first, second):
            assert (await client.get(type_url, "A", "B")).version == "1"
        for type_url in (first, second):
            await xds.update(type_url, "A")
            sent = await client.settle()
            assert [told.names for told in sent if told.type_url == type_url] == [["A"]]
            assert sent[0].version == "2"
        await _done(client)
