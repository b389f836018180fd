"""Checks 1 to 11: the stream, the node, and the type."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest

from support.xds.case import Case
from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, OWN, ROUTES, TYPES, UNKNOWN, WHOLE
from support.xds.types import short as short_name

ALL = dict.fromkeys(TYPES, "A B")
INVALID = grpc.StatusCode.INVALID_ARGUMENT
each_type = pytest.mark.parametrize("type_url", TYPES, ids=short_name)


@pytest.fixture(params=["sotw", "delta"])
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _open(xds: Case, variant: str, **more: Any) -> Any:
    return xds.sotw(**more) if variant == "sotw" else xds.delta(**more)


async def test_1_the_node_is_said_once(xds: Case, variant: str) -> None:
    """Check 1; XP «Basic Protocol Overview»: later requests may leave the node out."""
    await xds.put(ALL)
    async with _open(xds, variant) as client:
        await client.get(CLUSTER)
        await client.say(LISTENER)

        assert (await client.hear()).names == ["A", "B"]


async def test_1_another_node_ends_the_stream(xds: Case, variant: str) -> None:
    """Check 1; a node that changes is the client's fault; the stream is closed, as Kuma does."""
    await xds.put(ALL)
    async with _open(xds, variant) as client:
        await client.get(CLUSTER)
        await client.say(LISTENER, node=Node(id="another.conformance"))
        code, words = await client.status()

        assert code == INVALID
        assert "another.conformance" in words


@pytest.mark.parametrize("fields", [{}, {"node": Node()}], ids=["none", "empty"])
async def test_2_without_a_node_id_the_stream_ends(
    xds: Case, variant: str, fields: dict[str, Node]
) -> None:
    """Check 2; Istio and Envoy Gateway end it too: nobody is served who did not say who it is."""
    async with _open(xds, variant) as client:
        await client.say(CLUSTER, **fields)
        code, words = await client.status()

        assert code == INVALID
        assert "node" in words


async def test_2_a_node_id_of_any_length_is_refused_in_words(xds: Case, variant: str) -> None:
    """Check 2; a status that repeats it whole would not get through to the client."""
    async with _open(xds, variant) as client:
        await client.say(CLUSTER, node=Node(id="\N{SNOWMAN}" * 100_000))
        code, words = await client.status()

        assert code == INVALID
        assert "<pod>.<namespace>" in words


async def test_3_an_aggregated_stream_needs_the_type(xds: Case, variant: str) -> None:
    """Check 3; go-control-plane's servers: without a type_url there is nothing to answer."""
    await xds.put(ALL)
    async with _open(xds, variant) as client:
        await client.say("", node=client.node)
        code, words = await client.status()

        assert code == INVALID
        assert "type_url" in words


@each_type
async def test_3_a_stream_of_one_type_implies_it(xds: Case, variant: str, type_url: str) -> None:
    """Check 3; the method already says the type."""
    await xds.put(ALL)
    async with _open(xds, variant, own=type_url) as client:
        names = "resource_names" if variant == "sotw" else "resource_names_subscribe"
        await client.say("", node=client.node, **{names: ["A"]})
        told = await client.hear()

        assert told.type_url == type_url
        assert told.names == ["A"]


async def test_4_a_stream_of_one_type_refuses_another(xds: Case, variant: str) -> None:
    """Check 4; what a method does not speak of is a client's mistake, and said to be one."""
    await xds.put(ALL)
    async with _open(xds, variant, own=CLUSTER) as client:
        await client.ask(LISTENER)
        code, words = await client.status()

        assert code == INVALID
        assert "Listener" in words


async def test_5_an_unknown_type_leaves_the_stream_alone(xds: Case, variant: str) -> None:
    """Check 5; one type that a server lacks must not take the others with it."""
    await xds.put(ALL)
    async with _open(xds, variant) as client:
        await client.ask(UNKNOWN, "A")

        assert (await client.get(CLUSTER)).type_url == CLUSTER
        await xds.update(CLUSTER, "A")
        assert (await client.take()).type_url == CLUSTER


async def test_6_types_do_not_touch_each_other(xds: Case, variant: str) -> None:
    """Check 6; XP «ACK/NACK»: each type has its own version, nonce, names and answers."""
    await xds.put(ALL)
    async with _open(xds, variant) as client:
        await client.get(CLUSTER)
        await client.ask(ENDPOINTS, "A")
        assigned = await client.hear()
        await client.nack(assigned)  # a rejection of one type
        await client.settle()  # something may stand in for it
        assert (await client.get(LISTENER)).type_url == LISTENER
        await client.quiet()
        await xds.update(CLUSTER, "A")
        assert "A" in (await client.take()).names


async def test_7_nonces_are_never_empty_and_never_twice(xds: Case, variant: str) -> None:
    """Check 7; XP: a nonce names one response of its stream. (The client checks each response.)"""
    await xds.put(ALL)
    async with _open(xds, variant) as client:
        for type_url in TYPES[:-1]:
            await client.get(type_url, *([] if type_url in WHOLE else ["A"]))
        for _ in range(5):
            await xds.update(ROUTES, "A")
            await client.take()

        assert len({told.nonce for told in client.heard}) == len(client.heard) == 9


async def test_8_a_nonce_of_an_earlier_stream_is_a_first_request(xds: Case) -> None:
    """Check 8; Istio, OSM: what the other stream knew is not known here, so it is answered."""
    await xds.put(ALL)
    async with xds.sotw() as before:
        old = await before.get(ROUTES, "A")
    async with xds.sotw() as client:
        await client.say(
            ROUTES,
            node=client.node,
            resource_names=["A"],
            version_info=old.version,
            response_nonce=old.nonce,
        )

        assert (await client.hear()).contents == old.contents


@each_type
async def test_9_every_variant_is_served(xds: Case, variant: str, type_url: str) -> None:
    """Check 9; XP «RPC Services and Methods»: aggregated and alone give the same resources."""
    await xds.put(ALL)
    async with _open(xds, variant) as client:
        together = await client.get(type_url, "A", "B")
    async with _open(xds, variant, own=type_url) as client:
        alone = await client.get(type_url, "A", "B")
        await xds.update(type_url, "A")
        changed = await client.take()

    assert together.contents == alone.contents
    assert together.names == ["A", "B"]
    assert changed.contents["A"] != alone.contents["A"]


@each_type
async def test_10_there_is_no_unary_method(xds: Case, type_url: str) -> None:
    """Check 10; CVE-2026-53714: a way in that nobody uses is a way in that nobody guards."""
    await xds.put(ALL)
    request = DiscoveryRequest(node=Node(id=xds.node), type_url=type_url)
    async with grpc.aio.insecure_channel(xds.target.address) as channel:
        call: Any = channel.unary_unary(OWN[type_url].fetch)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(request.SerializeToString(), timeout=30)

    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_11_each_response_says_who_sent_it(xds: Case, variant: str) -> None:
    """Check 11; DP: `control_plane.identifier`, for whoever debugs a client's dump."""
    await xds.put(ALL)
    async with _open(xds, variant) as client:
        told: list[Any] = [await client.get(t, "A") for t in (CLUSTER, ENDPOINTS, ROUTES)]
        await xds.update(ROUTES, "A")
        told.append(await client.take())

    assert len({t.message.control_plane.identifier for t in told}) == 1
    assert told[0].message.control_plane.identifier
