"""Limits on a real server: who passes one is told which, and nobody else notices."""

from __future__ import annotations

import contextlib
from pathlib import Path

import grpc
import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from support.control_plane import control_plane
from support.resources import snapshot
from towpath.model.mesh import Mesh
from towpath.model.names import ClientKind, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS
from towpath.settings import StreamLimits

pytestmark = pytest.mark.usefixtures("transport")


async def test_an_endless_name_ends_the_stream_in_plain_words(tmp_path: Path) -> None:
    limits = StreamLimits(max_name_length=3)
    async with (
        control_plane(tmp_path, limits=limits) as plane,
        plane.stream() as greedy,
        plane.stream() as other,
    ):
        await other.say(CLUSTER)
        await other.hear()
        await greedy.say(ENDPOINTS, resource_names=["abcd"])
        code, details = await greedy.end()

        assert grpc.StatusCode.RESOURCE_EXHAUSTED == code
        assert "a name of 4 characters: at most 3 are allowed" == details
        sample = plane.metrics.registry.get_sample_value
        assert 1 == sample("towpath_xds_limited_streams_total", {"limit": "name-length"})
        await other.say(ENDPOINTS, resource_names=["a"])


async def test_one_stream_too_many_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    limits = StreamLimits(max_streams=1)
    async with control_plane(tmp_path, limits=limits) as plane, plane.stream() as first:
        await first.say(CLUSTER)
        await first.hear()
        async with plane.stream() as second:
            await second.say(CLUSTER)
            code, details = await second.end()

            assert grpc.StatusCode.RESOURCE_EXHAUSTED == code
            assert "1 streams are open already" in details


async def test_streams_that_say_nothing_end_and_take_no_sidecars_place(tmp_path: Path) -> None:
    limits = StreamLimits(max_streams=20, first_request_wait=0.5)
    async with control_plane(tmp_path, limits=limits) as plane, contextlib.AsyncExitStack() as all_:
        silent = [await all_.enter_async_context(plane.stream()) for _ in range(40)]
        ends = [await stream.end() for stream in silent]
        async with plane.stream() as sidecar:
            await sidecar.say(CLUSTER)
            await sidecar.hear()

        assert {grpc.StatusCode.RESOURCE_EXHAUSTED} == {code for code, _ in ends}
        assert {
            "nothing was asked for within 0.5 s",
            "2 streams are silent already, which is the limit",
        } == {details for _, details in ends}


LARGE = 3_500_000
"""Bytes: more than what buffers take, and less than gRPC's clients do."""


def _large(mesh: Mesh, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:
    del kind
    content = str(mesh.config())
    content *= LARGE // len(content)
    return snapshot({CLUSTER: {"a": content}}) if mesh.pod(sidecar) else None


async def test_who_reads_nothing_is_cut_and_delays_nobody(tmp_path: Path) -> None:
    limits = StreamLimits(read_wait=0.5)
    async with (
        control_plane(tmp_path, limits=limits, compose=_large) as plane,
        plane.stream() as slow,
        plane.stream() as quick,
    ):
        await slow.say(CLUSTER)
        await quick.say(CLUSTER)
        await quick.hear()
        sample = plane.metrics.registry.get_sample_value
        on = False
        while not sample("towpath_xds_limited_streams_total", {"limit": "read-wait"}):
            plane.switch_egress(on=(on := not on))
            await quick.hear()

        plane.switch_egress(on=not on)
        await quick.hear()


async def test_more_names_than_are_allowed_pass_a_limit_and_are_counted(tmp_path: Path) -> None:
    async with (
        control_plane(tmp_path, limits=StreamLimits(max_names=2)) as plane,
        plane.stream() as greedy,
    ):
        await greedy.say(ENDPOINTS, resource_names=["a", "b", "c"])
        code, details = await greedy.end()

        assert grpc.StatusCode.RESOURCE_EXHAUSTED == code
        assert "more than 2 names in one list (--max-names)" == details
        sample = plane.metrics.registry.get_sample_value
        assert 1 == sample("towpath_xds_limited_streams_total", {"limit": "names"})


async def test_names_that_are_asked_for_one_after_the_other_are_counted_together(
    tmp_path: Path,
) -> None:
    async with (
        control_plane(tmp_path, limits=StreamLimits(max_names=2)) as plane,
        plane.stream("DeltaAggregatedResources") as greedy,
    ):
        for names in (["a", "b"], ["c"]):
            request = DeltaDiscoveryRequest(type_url=ENDPOINTS, resource_names_subscribe=names)
            request.node.id = "curl.curl"
            await greedy.say_bytes(request.SerializeToString())
        await greedy.hear_bytes()
        code, details = await greedy.end()

        assert grpc.StatusCode.RESOURCE_EXHAUSTED == code
        assert "3 names of one type are asked for: at most 2 are allowed (--max-names)" == details


async def test_an_account_that_has_spent_its_budget_is_refused_until_it_has_some_again(
    tmp_path: Path,
) -> None:
    async with control_plane(tmp_path, limits=StreamLimits(opening_budget=1e-9)) as plane:
        async with plane.stream() as first:
            await first.say(CLUSTER)
            await first.hear()
        async with plane.stream() as second:
            await second.say(CLUSTER)
            code, details = await second.end()

        assert grpc.StatusCode.RESOURCE_EXHAUSTED == code
        assert "the streams that curl/curl has opened of late cost more" in details
        sample = plane.metrics.registry.get_sample_value
        assert 1 == sample("towpath_xds_limited_streams_total", {"limit": "opening-budget"})
