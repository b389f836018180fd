"""Checks 69 to 86 as far as they concern Towpath: TTL, errors, features, ends, CSDS."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest
from envoy.service.status.v3 import csds_pb2

from support.xds.case import Case
from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, TYPES
from support.xds.types import short as short_name

GRPC = "gRPC C-core linux Python"
NOT_FOUND = 5
FEATURES = (
    "envoy.lb.does_not_support_overprovisioning",
    "envoy.lrs.supports_send_all_clusters",
    "envoy.config.require-any-fields-contain-struct",
    "xds.config.resource-in-sotw",
    "xds.config.supports-resource-ttl",
)
each_type = pytest.mark.parametrize("type_url", TYPES, ids=short_name)


@pytest.fixture(params=["sotw", "delta"])
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _open(xds: Case, variant: str, **more: Any) -> Any:
    return xds.sotw(**more) if variant == "sotw" else xds.delta(**more)


@each_type
async def test_69_70_71_no_resource_expires(xds: Case, variant: str, type_url: str) -> None:
    """Checks 69 to 71; XP «TTL»: a client that did not ask for it must not get one, and Towpath
    lets nothing expire for whoever does; so there is no heartbeat that could come too late.
    """
    await xds.put({type_url: "A"})
    async with _open(xds, variant) as plain, _open(xds, variant, features=FEATURES) as able:
        for client in (plain, able):
            told = await client.get(type_url, "A")
            for resource in told.message.resources:
                assert variant == "sotw" or not resource.HasField("ttl")
                assert not getattr(resource, "type_url", "").endswith("discovery.v3.Resource")
            await client.quiet()


@each_type
async def test_72_a_name_that_is_not_there_is_an_error_in_words(xds: Case, type_url: str) -> None:
    """Check 72; TP3, A88: to a client that reads it, with the nearest name; once; and the resource
    itself clears it.
    """
    await xds.put({type_url: "orders"})
    async with xds.sotw(agent=GRPC) as client:
        told = await client.get(type_url, "order")
        assert told.names == []
        code, words = told.errors["order"]
        assert code == NOT_FOUND
        assert "orders" in words
        await client.quiet()

        await xds.add(type_url, "order")
        found = await client.take()
        assert found.names == ["order"]
        assert not found.errors


async def test_72_a_wildcard_is_never_an_error(xds: Case, variant: str) -> None:
    """Check 72; TP3: errors are about names."""
    await xds.put({})
    async with _open(xds, variant, agent=GRPC) as client:
        for told in (await client.get(CLUSTER), await client.get(LISTENER, "*")):
            assert not told.errors


async def test_73_beside_an_error_is_all_that_is_there(xds: Case) -> None:
    """Check 73; TP3: what a full response leaves out is deleted, errors or not."""
    await xds.put({CLUSTER: "A B", LISTENER: "A B"})
    async with xds.sotw(agent=GRPC) as client:
        for type_url in (CLUSTER, LISTENER):
            await client.get(type_url, "A", "B")
            told = await client.get(type_url, "A", "B", "late")

            assert told.names == ["A", "B"]
            assert list(told.errors) == ["late"]


@each_type
async def test_74_in_delta_an_error_is_a_removal(xds: Case, type_url: str) -> None:
    """Check 74; DP: NOT_FOUND stands for `removed_resources`; both may say it, and the name is not
    among the resources.
    """
    await xds.put({type_url: "A"})
    async with xds.delta(agent=GRPC) as client:
        told = await client.get(type_url, "A", "late")

        assert told.names == ["A"]
        assert {"late"} == {*told.removed, *told.errors}
        assert told.errors["late"][0] == NOT_FOUND


async def test_77_a_rejection_by_index_is_of_that_resource_alone(xds: Case) -> None:
    """Check 77; A46 and C-core's words: the valid ones in the response are in use."""
    await xds.put({CLUSTER: "A B C"})
    async with xds.sotw(agent=GRPC) as client:
        await client.ask(CLUSTER, "A", "B", "C")
        told = await client.hear()
        await client.nack(told, "xDS response validation errors: [resource index 1: B: bad]")
        await client.settle()
        await xds.update(CLUSTER, "C")
        sent = await client.settle()

    bodies = {body for response in sent for body in response.contents.values()}
    assert told.contents["B"] not in bodies
    assert any(
        response.contents.get("C", b"") not in (b"", told.contents["C"]) for response in sent
    )


async def test_78_features_change_nothing_that_is_sent(xds: Case, variant: str) -> None:
    """Check 78; nothing that Towpath sends hangs on one of these, and none is refused."""
    await xds.put(dict.fromkeys(TYPES, "A"))
    async with _open(xds, variant) as plain, _open(xds, variant, features=FEATURES) as able:
        for type_url in TYPES:
            usual = await plain.get(type_url, "A")
            assert (await able.get(type_url, "A")).contents == usual.contents


async def test_82_csds_says_where_each_client_stands(xds: Case) -> None:
    """Check 82; csds.proto: not asked for, sent, accepted, rejected."""
    held = {CLUSTER: "A", LISTENER: "A", ENDPOINTS: "A", ROUTES: "A"}
    await xds.put(held, probed=SECRET)
    async with xds.sotw() as client:
        await client.get(CLUSTER)
        await client.ask(LISTENER)
        await client.hear()  # and does not answer
        await client.ask(ENDPOINTS, "A")
        await client.nack(await client.hear(), "A is bad")
        await client.settle(SECRET)
        status = await _status(xds)

    assert status[CLUSTER] == "SYNCED"
    assert status[LISTENER] == "STALE"
    assert status[ENDPOINTS] == "ERROR"
    assert status.get(ROUTES, "NOT_SENT") == "NOT_SENT"


async def _status(xds: Case) -> dict[str, str]:
    """By type URL, for the test's node: what CSDS calls its state."""
    request = csds_pb2.ClientStatusRequest()
    request.node_matchers.add().node_id.exact = xds.node
    service = "/envoy.service.status.v3.ClientStatusDiscoveryService"
    async with grpc.aio.insecure_channel(xds.target.address) as channel:
        call: Any = channel.unary_unary(f"{service}/FetchClientStatus")
        answer = csds_pb2.ClientStatusResponse.FromString(
            await call(request.SerializeToString(), timeout=30)
        )
    (config,) = answer.config
    return {
        held.type_url: csds_pb2.ConfigStatus.Name(held.config_status)
        for held in config.generic_xds_configs
    }


async def test_85_no_response_is_a_trial(xds: Case) -> None:
    """Check 85; DP: `canary` has no meaning to any client, and is never set."""
    await xds.put(dict.fromkeys(TYPES, "A"))
    async with xds.sotw() as client:
        for type_url in TYPES:
            assert not (await client.get(type_url, "A")).message.canary


async def test_86_what_a_newer_client_says_is_no_fault(xds: Case) -> None:
    """Check 86; XP «Protoc-Gen-Validate»: fields that are unknown here, and values that today's
    rules forbid, are passed over.
    """
    await xds.put({CLUSTER: "A"})
    async with xds.sotw() as client:
        request = DiscoveryRequest(node=client.node, type_url=CLUSTER)
        request.node.locality.region = "x" * 1000
        request.node.listening_addresses.add()  # an address that says nothing
        unknown = b"\xfa\x7f\x03new"  # field 2047, a text
        await client.say_bytes(request.SerializeToString() + unknown)

        assert (await client.hear()).names == ["A"]


async def test_79_who_is_refused_is_refused_before_any_response(xds: Case) -> None:
    """Check 79; A57, A71: a stream that ends behind a response is no failure to its client, which
    would come back at once.
    """
    async with xds.sotw() as client:
        await client.say(CLUSTER)
        code, _ = await client.status()

    assert code is not grpc.StatusCode.OK
    assert not client.heard
