"""Check 62 between two servers: a client that goes over is sent what warming demands, no more."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.xds.case import Case
from support.xds.client import DeltaClient, SotwClient
from support.xds.contents import Contents, Item
from support.xds.towpath_target import towpath_target
from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from support.xds.types import short as short_name

NAMES = [f"service-{number:03d}" for number in range(200)]
HELD: Contents = {
    CLUSTER: {name: Item() for name in NAMES},
    ENDPOINTS: {name: Item() for name in NAMES},
    LISTENER: {name: Item(to=name) for name in NAMES[:20]},
    ROUTES: {name: Item(to=name) for name in NAMES[:20]},
}
ONE_CHANGED: Contents = {**HELD, CLUSTER: {name: Item() for name in NAMES} | {NAMES[7]: Item(2)}}


@pytest.fixture
async def replicas(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Case, Case]]:
    """Two servers with the same state; neither knows of the other."""
    async with (
        towpath_target(tmp_path_factory.mktemp("first")) as one,
        towpath_target(tmp_path_factory.mktemp("second")) as two,
    ):
        cases = Case(one, "web-1.shop"), Case(two, "web-1.shop")
        for case in cases:
            await case.put(HELD)
        yield cases


async def _start(client: SotwClient | DeltaClient) -> None:
    """Ask for everything, as a client that starts."""
    await client.get(CLUSTER)
    await client.get(ENDPOINTS, *NAMES)
    await client.get(LISTENER)
    await client.get(ROUTES, *NAMES[:20])


def _bytes(client: SotwClient | DeltaClient) -> dict[str, int]:
    """By type: how much was sent, without what the test itself asked for."""
    sent = dict.fromkeys(map(short_name, HELD), 0)
    for told in client.heard:
        if not told.probes:
            sent[short_name(told.type_url)] += told.message.ByteSize()
    return sent


async def test_62_in_delta_nothing_is_sent(replicas: tuple[Case, Case]) -> None:
    """Check 62; equal content has equal versions on every replica."""
    one, two = replicas
    async with one.delta() as before:
        await _start(before)
    async with two.delta() as client:
        await _resume(client, before)
        await client.quiet()

        print(f"delta: started with {_bytes(before)} bytes, went over with {_bytes(client)}")
        assert sum(_bytes(client).values()) == 0


async def test_62_in_delta_a_changed_cluster_and_its_endpoints_are_sent(
    replicas: tuple[Case, Case],
) -> None:
    """Check 62; the cluster warms, so its endpoints come though they are held."""
    one, two = replicas
    async with one.delta() as before:
        await _start(before)
    await two.put(ONE_CHANGED)
    async with two.delta() as client:
        await _resume(client, before)
        sent = await client.settle()

    assert [(told.type_url, told.names) for told in sent] == [
        (CLUSTER, [NAMES[7]]),
        (ENDPOINTS, [NAMES[7]]),
    ]


async def test_62_in_sotw_the_named_types_are_sent(replicas: tuple[Case, Case]) -> None:
    """Check 62; clusters and listeners are not; a client may wait for the answer of the others."""
    one, two = replicas
    async with one.sotw() as before:
        await _start(before)
    async with two.sotw() as client:
        client.accepted = dict(before.accepted)
        await client.ask(CLUSTER)
        await client.ask(ENDPOINTS, *NAMES)
        await client.ask(LISTENER)
        await client.ask(ROUTES, *NAMES[:20])
        sent = await client.settle()

        print(f"SotW: started with {_bytes(before)} bytes, went over with {_bytes(client)}")
        assert [told.type_url for told in sent] == [ENDPOINTS, ROUTES]
        assert [told.version for told in sent] == [before.accepted[t] for t in (ENDPOINTS, ROUTES)]


async def _resume(client: DeltaClient, before: DeltaClient) -> None:
    """Ask for everything again, and say what is held."""
    for type_url, names in (
        (CLUSTER, []),
        (ENDPOINTS, NAMES),
        (LISTENER, []),
        (ROUTES, NAMES[:20]),
    ):
        await client.ask(type_url, *names, initial=before.versions[type_url])
