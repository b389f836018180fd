"""Checks 51 to 57: make before break."""

from __future__ import annotations

from typing import Any

import pytest

from support.xds.case import Case
from support.xds.contents import Contents, Item
from support.xds.told import Told
from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET

ORDER = [CLUSTER, ENDPOINTS, LISTENER, ROUTES]
OLD: Contents = {
    CLUSTER: "old",
    ENDPOINTS: "old",
    LISTENER: {"in": Item(to="to")},
    ROUTES: {"to": Item(to="old")},
}
NEW: Contents = {
    CLUSTER: "new",
    ENDPOINTS: "new",
    LISTENER: {"in": Item(to="to")},
    ROUTES: {"to": Item(to="new")},
}


async def _put(xds: Case, held: Contents) -> None:
    """The probes are secrets, which nothing waits for."""
    await xds.put(held, probed=SECRET)


@pytest.fixture(params=["sotw", "delta"])
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _open(xds: Case, variant: str, **more: Any) -> Any:
    return xds.sotw(**more) if variant == "sotw" else xds.delta(**more)


async def _everything(client: Any) -> None:
    """Subscribe to all of OLD, and to what NEW has more."""
    await client.get(CLUSTER)
    await client.get(ENDPOINTS, "old")
    await client.get(LISTENER)
    await client.get(ROUTES, "to")


async def _subscribe_to_new(client: Any) -> None:
    """What a client does that has been sent a new cluster."""
    names = ["new"] if hasattr(client, "versions") else ["old", "new"]
    await client.ask(ENDPOINTS, *names)


async def test_51_a_change_of_all_is_sent_in_order(xds: Case, variant: str) -> None:
    """Check 51; XP «Eventual consistency considerations»: clusters, endpoints, listeners, routes;
    whether or not the client answers in between.
    """
    await _put(xds, OLD)
    async with _open(xds, variant) as client:
        await _everything(client)
        await _put(
            xds,
            {
                CLUSTER: {"old": Item(2)},
                ENDPOINTS: {"old": Item(2)},
                LISTENER: {"in": Item(2, to="to")},
                ROUTES: {"to": Item(2, to="old")},
            },
        )
        sent = await _until(client, ROUTES)

    firsts = list(dict.fromkeys(told.type_url for told in sent))
    assert firsts == ORDER


async def test_52_endpoints_never_come_before_their_cluster(xds: Case, variant: str) -> None:
    """Check 52; go-control-plane #526: clusters that got them first were stuck."""
    await _put(xds, {CLUSTER: "old", ENDPOINTS: "old"})
    async with _open(xds, variant) as client:
        await client.get(CLUSTER)
        await client.get(ENDPOINTS, "old", "new")
        await client.settle(SECRET)
        await _put(xds, {CLUSTER: "old new", ENDPOINTS: "old new"})
        sent = await client.settle(SECRET)

    having_new = [told.type_url for told in sent if "new" in told.contents]
    assert having_new == [CLUSTER, ENDPOINTS]


async def test_53_routes_wait_until_their_cluster_is_accepted(xds: Case, variant: str) -> None:
    """Check 53; others order what they send, and wait for nothing; the cluster may be rejected."""
    await _put(xds, OLD)
    async with _open(xds, variant) as client:
        await _everything(client)
        await client.settle(SECRET)
        await _put(xds, NEW)
        clusters = await client.hear()
        assert clusters.type_url == CLUSTER
        assert "new" in clusters.contents
        for told in await client.settle(SECRET):  # the clusters have not been answered
            assert told.type_url != ROUTES
            assert "old" not in told.removed

        await client.ack(clusters)
        await _subscribe_to_new(client)
        sent = await _until(client, ROUTES)
        assert b"new" in sent[-1].contents["to"]
        assert ENDPOINTS in {told.type_url for told in sent}


async def test_53_asking_for_another_brings_no_route_that_waits(xds: Case, variant: str) -> None:
    """Check 53; what is asked for is answered, and what was not asked for goes on waiting."""
    both = {"to": Item(to="old"), "other": Item(to="old")}
    await _put(xds, {**OLD, ROUTES: both})
    async with _open(xds, variant) as client:
        await _everything(client)
        await client.settle(SECRET)
        await _put(xds, {**NEW, CLUSTER: "old new", ROUTES: {**both, "to": Item(to="new")}})
        clusters = await client.hear()
        assert clusters.type_url == CLUSTER
        await client.ask(ROUTES, *(["other"] if variant == "delta" else ["to", "other"]))
        sent = await client.settle(SECRET)

    routes = [told for told in sent if told.type_url == ROUTES]
    assert any("other" in told.contents for told in routes)
    assert not any(b"new" in told.contents.get("to", b"") for told in routes)


async def test_54_55_a_cluster_goes_after_its_last_route_is_accepted(
    xds: Case, variant: str
) -> None:
    """Checks 54 and 55; go-control-plane deletes first: here it is the union, then the rest."""
    await _put(xds, OLD)
    async with _open(xds, variant) as client:
        await _everything(client)
        await _put(xds, NEW)
        held: dict[str, set[str]] = {CLUSTER: {"old"}, ENDPOINTS: {"old"}}
        routes_accepted = False
        while held[CLUSTER] != {"new"}:
            told = await client.hear()
            if told.type_url in held:
                gone = set(told.removed)
                if variant == "sotw" and told.type_url == CLUSTER:
                    gone = held[CLUSTER] - set(told.contents)
                assert "old" not in gone or routes_accepted, "removed while a route leads there"
                held[told.type_url] = (held[told.type_url] | set(told.contents)) - gone
            if told.type_url == ROUTES and b"new" in told.contents["to"]:
                assert "new" in held[CLUSTER], "a route leads to a cluster that was not sent"
                assert "new" in held[ENDPOINTS], "a route leads to a cluster that warms"
                routes_accepted = True
            await client.ack(told)
            if told.type_url == CLUSTER and not routes_accepted:
                await _subscribe_to_new(client)


async def test_56_a_rejected_cluster_holds_back_only_what_needs_it(xds: Case, variant: str) -> None:
    """Check 56; others go on, and its own routes come only to something that stands in for it,
    once the client has accepted that.
    """
    old: Contents = {
        **OLD,
        ROUTES: {"to": Item(to="old"), "other": Item(to="old")},
        LISTENER: {"in": Item(to="to"), "out": Item(to="other")},
    }
    await _put(xds, old)
    async with _open(xds, variant) as client:
        await client.get(CLUSTER)
        await client.get(ENDPOINTS, "old")
        await client.get(LISTENER)
        await client.get(ROUTES, "to", "other")
        await _put(
            xds,
            {
                **old,
                CLUSTER: "old new",
                ENDPOINTS: "old new",
                ROUTES: {"to": Item(to="new"), "other": Item(2, to="old")},
            },
        )
        while "new" not in (clusters := await client.hear()).contents:
            await client.ack(clusters)
        rejected = clusters.contents["new"]
        await client.nack(clusters, "new: no such thing")
        holds_new = False
        sent: list[Told[bytes]] = []
        while not any("other" in told.contents for told in sent if told.type_url == ROUTES):
            sent.append(await client.take())
            body = sent[-1].contents.get("new") if sent[-1].type_url == CLUSTER else None
            assert body != rejected
            holds_new = holds_new or body is not None
            assert holds_new or b"new" not in sent[-1].contents.get("to", b"")


@pytest.mark.parametrize("agent", ["gRPC C-core linux Python", "envoy"])
async def test_57_whoever_the_client_is_the_order_is_the_same(xds: Case, agent: str) -> None:
    """Check 57; A74 and A71 «Config tears»: gRPC tears too, and the server orders for it too."""
    await _put(xds, OLD)
    async with xds.sotw(agent=agent) as client:
        await client.get(CLUSTER, "old", "new")
        await client.get(ENDPOINTS, "old", "new")
        await client.get(LISTENER, "in")
        await client.get(ROUTES, "to")
        await client.settle(SECRET)
        await _put(xds, {**NEW, CLUSTER: "old new", ENDPOINTS: "old new"})
        sent = await _until(client, ROUTES)

    having_new = [t.type_url for t in sent if any(b"new" in body for body in t.contents.values())]
    assert list(dict.fromkeys(having_new)) == [CLUSTER, ENDPOINTS, ROUTES]


async def _until(client: Any, type_url: str) -> list[Told[bytes]]:
    """Hear, and accept, up to the first response of that type."""
    sent = [await client.take()]
    while sent[-1].type_url != type_url:
        sent.append(await client.take())
    return sent
