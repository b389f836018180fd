"""CSDS: what becomes of each resource on each stream, in the standard form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
)
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc
from google.protobuf.json_format import ParseDict
from google.rpc.status_pb2 import Status

from support.control_plane import ControlPlane, control_plane
from support.xds.stream import RawStream
from towpath.admin.csds import ClientStatus
from towpath.model.names import ClientKind, SidecarId
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES

CURL = SidecarId(pod="curl", namespace="curl")
SYNCED, NOT_SENT, STALE, ERROR = (
    csds_pb2.SYNCED,
    csds_pb2.NOT_SENT,
    csds_pb2.STALE,
    csds_pb2.ERROR,
)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    async with control_plane(tmp_path) as started:
        yield started


async def _fetch(plane: ControlPlane, **request: Any) -> list[Any]:
    """The ClientConfigs of FetchClientStatus."""
    asked = ParseDict(request, csds_pb2.ClientStatusRequest())
    async with grpc.aio.insecure_channel(plane.address) as channel:
        stub = csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel)
        return list((await stub.FetchClientStatus(asked)).config)


async def _resources(plane: ControlPlane, type_url: str) -> dict[str, Any]:
    """What is said of the only stream's resources of a type, by name."""
    (config,) = await _fetch(plane)
    of_type = [r for r in config.generic_xds_configs if r.type_url == type_url]
    assert sorted(r.name for r in of_type) == [r.name for r in of_type]
    return {r.name: r for r in of_type}


async def _read(stream: RawStream, type_url: str, **fields: Any) -> Any:
    """Wait until the server has read all that was said before, by an answer of another type."""
    await stream.say(type_url, **fields)
    return await stream.hear()


async def _acknowledge(stream: RawStream, response: Any, *names: str) -> None:
    await stream.say(
        response.type_url,
        response_nonce=response.nonce,
        version_info=response.version_info,
        resource_names=names,
    )


async def test_what_is_sent_is_stale_until_the_client_has_accepted_it(plane: ControlPlane) -> None:
    async with plane.stream() as stream:
        response = await _read(stream, CLUSTER)
        before = await _resources(plane, CLUSTER)
        await _acknowledge(stream, response)
        await _read(stream, LISTENER)
        after = await _resources(plane, CLUSTER)

        assert len(response.resources) == len(before) == len(after) > 0
        assert {STALE} == {r.config_status for r in before.values()}
        assert {SYNCED} == {r.config_status for r in after.values()}


async def test_a_resource_is_shown_with_its_version_and_the_bytes_that_were_sent(
    plane: ControlPlane,
) -> None:
    async with plane.stream() as stream:
        response = await _read(stream, CLUSTER)
        held = plane.hub.snapshot(ClientKind.ENVOY, CURL)
        assert held is not None
        shown = await _resources(plane, CLUSTER)

        assert sorted(r.SerializeToString() for r in response.resources) == sorted(
            r.xds_config.SerializeToString() for r in shown.values()
        )
        assert {n: r.version for n, r in held.of(CLUSTER).items()} == {
            n: r.version_info for n, r in shown.items()
        }
        assert all(r.last_updated.seconds > 0 for r in shown.values())


async def test_a_name_that_is_not_there_is_not_sent(plane: ControlPlane) -> None:
    async with plane.stream() as stream:
        await stream.say(ROUTES, resource_names=["ghost"])
        await _read(stream, CLUSTER)
        ghost = (await _resources(plane, ROUTES))["ghost"]

        assert NOT_SENT == ghost.config_status
        assert not ghost.HasField("xds_config")
        assert "" == ghost.version_info


async def test_what_is_rejected_is_an_error_with_the_clients_words_and_only_that(
    plane: ControlPlane,
) -> None:
    async with plane.stream() as stream:
        response = await _read(stream, LISTENER)
        error = Status(code=13, message="outbound-listener: chain is ugly")
        await stream.say(LISTENER, response_nonce=response.nonce, error_detail=error)
        await _acknowledge(stream, await stream.hear())  # what stands in for it
        await _read(stream, CLUSTER)
        shown = await _resources(plane, LISTENER)

        bad, good = shown["outbound-listener"], shown["prometheus-listener"]
        assert (ERROR, "outbound-listener: chain is ugly") == (
            bad.config_status,
            bad.error_state.details,
        )
        assert response.version_info == bad.error_state.version_info
        assert bad.error_state.last_update_attempt.seconds > 0
        assert ERROR != good.config_status
        assert not good.HasField("error_state")


async def test_content_that_takes_the_place_of_what_was_rejected_ends_the_error(
    plane: ControlPlane,
) -> None:
    async with plane.stream() as stream:
        response = await _read(stream, LISTENER)
        error = Status(code=13, message="outbound-listener: chain is ugly")
        await stream.say(LISTENER, response_nonce=response.nonce, error_detail=error)
        await _acknowledge(stream, await stream.hear())  # what stands in for it
        plane.switch_egress(on=True)
        fresh = await stream.hear()
        pending = (await _resources(plane, LISTENER))["outbound-listener"]
        await _acknowledge(stream, fresh)
        await _read(stream, CLUSTER)
        accepted = (await _resources(plane, LISTENER))["outbound-listener"]

        assert STALE == pending.config_status
        assert SYNCED == accepted.config_status
        assert not accepted.HasField("error_state")


async def test_a_delta_stream_is_shown_resource_by_resource(plane: ControlPlane) -> None:
    names = ("bookstore/bookstore|80",)
    async with plane.stream("DeltaAggregatedResources") as stream:
        first = DeltaDiscoveryRequest(
            node=Node(id="curl.curl"),
            type_url=ENDPOINTS,
            resource_names_subscribe=[*names, "ghost"],
        )
        await stream.say_bytes(first.SerializeToString())
        response = DeltaDiscoveryResponse.FromString(await stream.hear_bytes())
        before = await _resources(plane, ENDPOINTS)
        ack = DeltaDiscoveryRequest(type_url=ENDPOINTS, response_nonce=response.nonce)
        await stream.say_bytes(ack.SerializeToString())
        more = DeltaDiscoveryRequest(type_url=LISTENER)
        await stream.say_bytes(more.SerializeToString())
        await stream.hear_bytes()
        after = await _resources(plane, ENDPOINTS)

        assert {names[0]: STALE, "ghost": NOT_SENT} == _statuses(before)
        assert {names[0]: SYNCED, "ghost": NOT_SENT} == _statuses(after)


async def test_contents_can_be_left_out(plane: ControlPlane) -> None:
    async with plane.stream() as stream:
        await _read(stream, CLUSTER)
        (full,) = await _fetch(plane)
        (bare,) = await _fetch(plane, exclude_resource_contents=True)

        for resource in full.generic_xds_configs:
            assert resource.HasField("xds_config")
            resource.ClearField("xds_config")
        assert full == bare


async def test_each_stream_is_shown_with_what_its_client_says_of_itself(
    plane: ControlPlane,
) -> None:
    node = Node(id="curl.curl", cluster="c", user_agent_name="envoy", extensions=[{"name": "x"}])
    node.metadata["zone"] = "eu-1"
    node.user_agent_build_version.version.major_number = 1
    async with plane.stream() as one, plane.stream() as other:
        request = DiscoveryRequest(node=node, type_url=CLUSTER)
        await one.say_bytes(request.SerializeToString())
        await one.hear()
        await _read(other, CLUSTER, node="bookstore-0.bookstore")
        configs = await _fetch(plane)

        node.ClearField("extensions")
        assert [Node(id="bookstore-0.bookstore"), node] == [config.node for config in configs]


async def test_node_matchers_say_which_clients(plane: ControlPlane) -> None:
    async with plane.stream() as one, plane.stream() as other:
        await _read(one, CLUSTER)
        await _read(other, CLUSTER, node="bookstore-0.bookstore")
        matchers = [{"node_id": {"suffix": ".bookstore"}}, {"node_id": {"exact": "x"}}]
        (found,) = await _fetch(plane, node_matchers=matchers)

        assert "bookstore-0.bookstore" == found.node.id
        assert [] == await _fetch(plane, node_matchers=matchers[1:])


async def test_a_matcher_that_cannot_be_evaluated_is_refused(plane: ControlPlane) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _fetch(plane, node_matchers=[{"node_id": {"safe_regex": {"regex": "("}}}])

    assert grpc.StatusCode.INVALID_ARGUMENT == raised.value.code()
    assert "node_matchers[0].node_id.safe_regex.regex '('" in str(raised.value.details())


async def test_a_client_that_waits_for_its_pod_is_shown_with_nothing(plane: ControlPlane) -> None:
    async with plane.stream() as stream, plane.stream() as other:
        await stream.say(CLUSTER, node="late.curl")
        await _read(other, CLUSTER)
        while len(plane.hub.records) < 2:
            await _read(other, LISTENER, resource_names=["x"])
        configs = {config.node.id: config for config in await _fetch(plane)}

        assert [] == list(configs["late.curl"].generic_xds_configs)


async def test_a_stream_is_answered_request_by_request(plane: ControlPlane) -> None:
    async with (
        plane.stream() as stream,
        grpc.aio.insecure_channel(plane.address) as channel,
    ):
        await _read(stream, CLUSTER)
        call = csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel).StreamClientStatus()
        nobody = {"node_matchers": [{"node_id": {"exact": "x"}}]}
        counts = []
        for asked in ({}, nobody, {}):
            await call.write(ParseDict(asked, csds_pb2.ClientStatusRequest()))
            counts.append(len((await call.read()).config))
        await call.done_writing()

        assert [1, 0, 1] == counts
        assert grpc.aio.EOF == await call.read()
        assert grpc.StatusCode.OK == await call.code()


async def test_an_answer_that_is_too_large_is_refused_and_says_how_to_ask_for_less(
    plane: ControlPlane,
) -> None:
    class Context:
        async def abort(self, status: grpc.StatusCode, details: str) -> None:
            raise RuntimeError(status, details)

    context: Any = Context()
    full = csds_pb2.ClientStatusRequest()
    bare = csds_pb2.ClientStatusRequest(exclude_resource_contents=True)
    async with plane.stream() as stream:
        await _read(stream, CLUSTER)
        fitting = await ClientStatus(plane.hub).FetchClientStatus(bare, context)
        service = ClientStatus(plane.hub, largest=fitting.ByteSize())
        with pytest.raises(RuntimeError) as raised:
            await service.FetchClientStatus(full, context)

        status, details = raised.value.args
        assert grpc.StatusCode.RESOURCE_EXHAUSTED == status
        assert f"larger than {fitting.ByteSize()} bytes" in details
        assert "exclude_resource_contents" in details
        assert fitting == await service.FetchClientStatus(bare, context)


def _statuses(shown: dict[str, Any]) -> dict[str, int]:
    return {name: resource.config_status for name, resource in shown.items()}
