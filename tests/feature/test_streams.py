"""Streams on a real gRPC server: who is let in, and what ends a stream."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from support.control_plane import control_plane
from towpath.model.types import CLUSTER, LISTENER
from towpath.settings import StreamLimits

pytestmark = pytest.mark.usefixtures("transport")


async def test_a_first_request_is_answered_with_the_pods_resources(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        await stream.say(CLUSTER)
        response = await stream.hear()

        assert CLUSTER == response.type_url
        assert "towpath/test" == response.control_plane.identifier
        assert 3 == len(response.resources)


async def test_bytes_that_are_no_request_end_the_stream_alone(tmp_path: Path) -> None:
    async with (
        control_plane(tmp_path) as plane,
        plane.stream() as other,
        plane.stream() as broken,
    ):
        await other.say(CLUSTER)
        await other.hear()
        await broken.say_bytes(b"\xff\xff\xff\xff")
        code, details = await broken.end()

        assert grpc.StatusCode.INVALID_ARGUMENT == code
        assert "DiscoveryRequest" in details
        await other.say(LISTENER)
        assert LISTENER == (await other.hear()).type_url


async def test_garbage_after_a_good_request_ends_the_stream(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        await stream.say(CLUSTER)
        await stream.hear()
        await stream.say_bytes(b"\x0a\xff")
        code, _ = await stream.end()

        assert grpc.StatusCode.INVALID_ARGUMENT == code


async def test_a_node_id_must_name_a_pod_and_its_namespace(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        await stream.say(CLUSTER, node="curl")
        code, details = await stream.end()

        assert grpc.StatusCode.INVALID_ARGUMENT == code
        assert "'curl' is not of the form <pod>.<namespace>" in details


async def test_a_stream_keeps_its_node(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        await stream.say(CLUSTER)
        await stream.hear()
        await stream.say(LISTENER, node="bookstore-0.bookstore")
        code, details = await stream.end()

        assert grpc.StatusCode.INVALID_ARGUMENT == code
        assert "differs" in details


async def test_an_unknown_pod_is_waited_for_and_then_not_found(tmp_path: Path) -> None:
    limits = StreamLimits(unknown_pod_wait=0.05)
    async with control_plane(tmp_path, limits=limits) as plane, plane.stream() as stream:
        await stream.say(CLUSTER, node="ghost.curl")
        code, details = await stream.end()

        assert grpc.StatusCode.NOT_FOUND == code
        assert "no Pod curl/ghost appeared" in details


async def test_a_pod_that_appears_is_served_on_the_waiting_stream(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        await stream.say(CLUSTER, node="late.curl")
        pod = (plane.folder / "curl.yaml").read_text().replace("name: curl\n", "name: late\n")
        (plane.folder / "late.yaml").write_text(pod)

        assert CLUSTER == (await stream.hear()).type_url


async def test_nobody_is_served_before_everything_is_listed(tmp_path: Path) -> None:
    async with control_plane(tmp_path, follow=False) as plane, plane.stream() as stream:
        ended = asyncio.ensure_future(stream.end())
        # A stream that ends while its first request is being written may end with INTERNAL there.
        done, _ = await asyncio.wait({ended}, timeout=0.2)
        await stream.say(CLUSTER)
        code, details = await ended

        assert not done
        assert grpc.StatusCode.UNAVAILABLE == code
        assert "not every kind of object is listed yet" in details


async def test_a_type_that_is_not_served_is_ignored(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        await stream.say("type.googleapis.com/envoy.service.runtime.v3.Runtime")
        await stream.say(CLUSTER)

        assert CLUSTER == (await stream.hear()).type_url


async def test_streams_that_end_are_forgotten(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        async with plane.stream() as stream:
            await stream.say(CLUSTER)
            await stream.hear()
            assert 1 == len(plane.hub.records)
        async with plane.stream("DeltaAggregatedResources") as bad:
            await bad.say_bytes(b"\xff")
            await bad.end()

        assert 0 == len(plane.hub.records)
        text = plane.metrics.registry.get_sample_value(
            "towpath_connected_sidecars", {"kind": "envoy"}
        )
        assert 0 == text
