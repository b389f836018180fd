"""A rejection: recorded with the client's words, and the same bytes are never sent again."""

from __future__ import annotations

from pathlib import Path

import grpc
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from google.rpc.status_pb2 import Status

from support.control_plane import ControlPlane, control_plane
from support.xds.stream import RawStream
from towpath.model.types import CLUSTER, LISTENER
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

REASON = "outbound-listener: chain is ugly"


async def _rejected(stream: RawStream) -> tuple[str, DiscoveryResponse]:
    """Reject the listeners of a fresh stream; gives their version, and what comes instead."""
    await stream.say(LISTENER)
    response = await stream.hear()
    error = Status(code=13, message=REASON)
    await stream.say(LISTENER, response_nonce=response.nonce, error_detail=error)
    instead = await stream.hear()
    await stream.say(CLUSTER)
    await stream.hear()
    return str(response.version_info), instead


async def _delivery(plane: ControlPlane) -> pb.Delivery:
    async with grpc.aio.insecure_channel(plane.address) as channel:
        answer = await pb_grpc.InspectorStub(channel).ListSidecars(pb.ListSidecarsRequest())
    return next(d for d in answer.sidecars[0].deliveries if LISTENER == d.type_url)


async def test_it_is_listed_with_the_clients_words(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        version, _ = await _rejected(stream)
        delivery = await _delivery(plane)

        assert version == delivery.rejected.version
        assert REASON == delivery.rejected.message
        assert ["outbound-listener"] == list(delivery.rejected.resource_names)
        assert 1 == delivery.rejections


async def test_it_is_counted(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        await _rejected(stream)

        sample = plane.metrics.registry.get_sample_value
        assert 1 == sample("towpath_xds_nacks_total", {"type": "lds"})


async def test_the_same_bytes_are_not_sent_to_that_client_again(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        async with plane.stream() as stream:
            _, instead = await _rejected(stream)
            assert await stream.silent_for(0.1)
        async with plane.stream() as again:
            await again.say(LISTENER)
            assert (await again.hear()).resources == instead.resources
            assert await again.silent_for(0.1)

        listeners = [Listener.FromString(packed.value) for packed in instead.resources]
        outbound = next(one for one in listeners if "outbound-listener" == one.name)
        assert [[]] == [list(chain.filters) for chain in outbound.filter_chains]
        assert {"outbound-listener", "prometheus-listener"} == {one.name for one in listeners}


async def test_another_client_is_sent_them(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        await _rejected(stream)
        async with plane.stream() as other:
            await other.say(LISTENER, node="bookstore-0.bookstore")

            assert LISTENER == (await other.hear()).type_url


async def test_changed_content_is_sent_and_its_acceptance_clears_the_record(
    tmp_path: Path,
) -> None:
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        version, _ = await _rejected(stream)
        plane.switch_egress(on=True)
        fresh = await stream.hear()
        assert LISTENER == fresh.type_url
        assert version != fresh.version_info

        await stream.say(LISTENER, response_nonce=fresh.nonce, version_info=fresh.version_info)
        await stream.say(CLUSTER, resource_names=["x"])
        delivery = await _delivery(plane)
        assert fresh.version_info == delivery.acknowledged.version
        assert not delivery.HasField("rejected")
