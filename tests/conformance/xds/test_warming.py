"""Checks 58 to 65: clusters that warm, reconnects, and a server that does not know yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from support.control_plane import control_plane
from support.xds.case import Case
from support.xds.client import sotw
from support.xds.contents import Item
from support.xds.towpath_target import TowpathTarget
from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES

HELD = {CLUSTER: "A B", ENDPOINTS: "A B", LISTENER: "A", ROUTES: "A"}


@pytest.fixture(params=["sotw", "delta"])
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _open(xds: Case, variant: str, **more: Any) -> Any:
    return xds.sotw(**more) if variant == "sotw" else xds.delta(**more)


async def test_58_a_changed_cluster_is_followed_by_its_endpoints(xds: Case, variant: str) -> None:
    """Check 58; XP «Resource warming»: though the endpoints are what they were, and only they."""
    await xds.put(HELD)
    async with _open(xds, variant) as client:
        await client.get(CLUSTER)
        first = await client.get(ENDPOINTS, "A", "B")
        await xds.update(CLUSTER, "A")
        sent = await client.settle()

    assert [told.type_url for told in sent] == [CLUSTER, ENDPOINTS]
    assert sent[1].contents == {"A": first.contents["A"]}


async def test_59_endpoints_asked_for_before_clusters_come_twice(xds: Case) -> None:
    """Check 59; Envoy #13009, #33607: a client that reconnects may ask for them first; they are
    answered, and again behind the clusters, which warm anew.
    """
    await xds.put(HELD)
    async with xds.sotw() as before:
        clusters = await before.get(CLUSTER)
        assigned = await before.get(ENDPOINTS, "A", "B")
    await xds.update(CLUSTER, "A")
    async with xds.sotw() as client:
        client.accepted = {CLUSTER: clusters.version, ENDPOINTS: assigned.version}
        assert (await client.get(ENDPOINTS, "A", "B")).contents == assigned.contents
        assert "A" in (await client.get(CLUSTER)).contents
        again = await client.take()

        assert again.type_url == ENDPOINTS
        assert again.contents["A"] == assigned.contents["A"]


async def test_60_after_a_reconnect_warming_clusters_get_their_endpoints(xds: Case) -> None:
    """Check 60; Istio's forced push: a delta client may never ask again."""
    await xds.put(HELD)
    async with xds.delta() as before:
        clusters = await before.get(CLUSTER)
        assigned = await before.get(ENDPOINTS, "A", "B")
    await xds.update(CLUSTER, "A")
    async with xds.delta() as client:
        await client.ask(ENDPOINTS, "A", "B", initial=assigned.versions)
        await client.ask(CLUSTER, initial=clusters.versions)
        sent = await client.settle()

    assert [told.type_url for told in sent] == [CLUSTER, ENDPOINTS]
    assert sent[0].names == ["A"]
    assert sent[1].contents == {"A": assigned.contents["A"]}


async def test_61_the_first_request_for_endpoints_is_always_answered(xds: Case) -> None:
    """Check 61; kgateway #14703: equal versions parked it, and clusters warmed for 15 s."""
    await xds.put(HELD)
    async with xds.sotw() as before:
        clusters = await before.get(CLUSTER)
        assigned = await before.get(ENDPOINTS, "A", "B")
    async with xds.sotw() as client:
        client.accepted = {CLUSTER: clusters.version, ENDPOINTS: assigned.version}
        await client.ask(CLUSTER)
        await client.ask(ENDPOINTS, "A", "B")
        sent = await client.settle()

    assert assigned.contents in [told.contents for told in sent if told.type_url == ENDPOINTS]


async def test_62_a_reconnect_is_sent_no_more_than_that(xds: Case) -> None:
    """Check 62; the wildcard types may be silent, names are answered in SotW, and delta sends
    nothing that is held already.
    """
    await xds.put(HELD)
    async with xds.sotw() as client:
        held = {
            CLUSTER: (await client.get(CLUSTER)).version,
            LISTENER: (await client.get(LISTENER)).version,
        }
    async with xds.sotw() as client:
        client.accepted = held
        await client.ask(CLUSTER)
        await client.ask(LISTENER)
        await client.ask(ROUTES, "A")
        sent = {told.type_url for told in await client.settle()}
        assert ROUTES in sent
        # Silence is allowed, not asked for; a server whose versions are hashes can have it.
        assert sent == {ROUTES} or not isinstance(xds.target, TowpathTarget)
    async with xds.delta() as client:
        versions = {
            CLUSTER: (await client.get(CLUSTER)).versions,
            ENDPOINTS: (await client.get(ENDPOINTS, "A", "B")).versions,
            LISTENER: (await client.get(LISTENER)).versions,
            ROUTES: (await client.get(ROUTES, "A")).versions,
        }
    async with xds.delta() as client:
        for type_url, known in versions.items():
            names = [] if type_url in (CLUSTER, LISTENER) else list(known)
            await client.ask(type_url, *names, initial=known)
        await client.quiet()


async def test_62_endpoints_follow_a_cluster_that_was_sent_on_this_stream(xds: Case) -> None:
    """Check 62; though their version is held, if the cluster's was not."""
    await xds.put(HELD)
    async with xds.delta() as before:
        assigned = await before.get(ENDPOINTS, "A", "B")
    async with xds.delta() as client:
        await client.get(CLUSTER)
        told = await client.get(ENDPOINTS, "A", "B", initial=assigned.versions)

        assert told.contents == assigned.contents


async def test_63_clusters_that_are_never_asked_for_do_no_harm(xds: Case, variant: str) -> None:
    """Check 63; envoy #34334: a client may forget to ask for them; it is still served the rest,
    and its clusters when it asks.
    """
    await xds.put(HELD)
    async with _open(xds, variant) as client:
        await client.get(ENDPOINTS, "A", "B")
        await client.get(ROUTES, "A")
        await xds.update(ENDPOINTS, "A")
        assert "A" in (await client.take()).contents
        assert (await client.get(CLUSTER)).names == ["A", "B"]


async def test_64_envoy_is_sent_an_empty_assignment_for_a_name_that_is_not_there(
    xds: Case,
) -> None:
    """Check 64; which ends the warming at once; and the real one when it is there."""
    await xds.put({CLUSTER: "A late"})
    async with xds.sotw(agent="envoy") as client:
        await client.get(CLUSTER)
        empty = await client.get(ENDPOINTS, "late")
        await xds.put({CLUSTER: "A late", ENDPOINTS: {"late": Item()}})
        full = await client.take()

    assert empty.names == full.names == ["late"]
    assert len(empty.contents["late"]) == len(b"\n\x04late")
    assert len(full.contents["late"]) > len(empty.contents["late"])


async def test_65_before_all_is_listed_every_stream_is_refused(tmp_path: Path) -> None:
    """Check 65; Istio #25495: a server that knew half of the world deleted what was alive."""
    async with (
        control_plane(tmp_path, follow=False) as plane,
        sotw(plane.address, "curl.curl") as client,
    ):
        await client.ask(CLUSTER)
        code, words = await client.status()

    assert code == grpc.StatusCode.UNAVAILABLE
    assert "listed" in words
