"""WatchSnapshot: the first snapshot, then one for each new version; the latest wins."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc
import pytest

from support.objects import endpoint_slice, mesh_config, namespace, pod, service
from support.running_hub import RunningHub
from towpath.admin.inspector import Inspector
from towpath.model.names import ClientKind, Kind, SidecarId
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, SHORT_NAMES
from towpath_api.v1 import inspector_pb2 as pb

WEB = pod("web-1", addresses=[f"10.0.0.{last}" for last in range(1, 6)])
MESH = (namespace(), mesh_config(), service("web"), pod("curl", app="curl"), WEB)
CURL = SidecarId(pod="curl", namespace="shop")


class EndedError(Exception):
    """The status that ends the stream."""


class Context:
    """As much of gRPC's context as the Inspector uses."""

    async def abort(self, status: grpc.StatusCode, details: str) -> NoReturn:
        raise EndedError(status, details)


Messages = AsyncIterator[pb.WatchSnapshotResponse]


def _watch(running: RunningHub, *type_urls: str, node_id: str = "curl.shop") -> Messages:
    request = pb.WatchSnapshotRequest(node_id=node_id, type_urls=type_urls)
    context: Any = Context()
    return Inspector(running.hub).WatchSnapshot(request, context)


async def _next(messages: Messages) -> pb.WatchSnapshotResponse:
    return await asyncio.wait_for(anext(messages), 30)


async def _silent(messages: Messages) -> bool:
    """Ends the stream if nothing comes."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(anext(messages), 0.05)
        return False
    return True


async def test_the_first_message_is_the_present_snapshot_in_full(running: RunningHub) -> None:
    await running.holds(*MESH)
    held = running.hub.snapshot(ClientKind.ENVOY, CURL)
    assert held is not None

    first = await _next(_watch(running))

    assert held.version == first.version
    assert {one.type_url: one.version for one in first.types} == {
        type_url: held.of(type_url).version for type_url in SHORT_NAMES if type_url in held.sets
    }
    assert [
        (r.name, r.resource.SerializeToString()) for one in first.types for r in one.resources
    ] == [(n, held.of(u)[n].packed) for u in sorted(held.sets) for n in sorted(held.of(u))]


async def test_each_new_version_is_a_message_and_an_equal_one_is_none(running: RunningHub) -> None:
    await running.holds(*MESH)
    messages = _watch(running)
    first = await _next(messages)

    await running.holds(mesh_config(egress=True))
    second = await _next(messages)
    await running.holds(pod("other"))

    assert first.version != second.version
    assert await _silent(messages)


async def test_a_change_that_leaves_the_sidecar_in_its_group_is_a_message(
    running: RunningHub,
) -> None:
    """Of a sidecar that has no stream, so that nobody else is told."""
    await running.holds(*MESH)
    messages = _watch(running)
    first = await _next(messages)

    await running.holds(service("api", ips=("10.96.0.2",)))
    second = await _next(messages)

    assert first.version != second.version


async def test_a_change_of_types_that_were_not_asked_for_is_no_message(running: RunningHub) -> None:
    await running.holds(*MESH)
    messages = _watch(running, ENDPOINTS, CLUSTER)
    first = await _next(messages)

    await running.holds(mesh_config(egress=True))
    await running.holds(endpoint_slice("web", "10.0.0.1"))
    second = await _next(messages)

    assert [CLUSTER, ENDPOINTS] == [one.type_url for one in first.types]
    assert first.types[0].version == second.types[0].version
    assert first.types[1].version != second.types[1].version


async def test_one_who_reads_slowly_is_sent_the_newest_alone(running: RunningHub) -> None:
    await running.holds(*MESH)
    messages = _watch(running, ENDPOINTS)
    await _next(messages)

    for last in range(1, 6):
        await running.holds(endpoint_slice("web", f"10.0.0.{last}"))
    newest = await _next(messages)

    assert b"10.0.0.5" in newest.types[0].resources[0].resource.value
    assert await _silent(messages)


async def test_a_pod_that_goes_away_ends_the_stream(running: RunningHub) -> None:
    await running.holds(*MESH)
    messages = _watch(running)
    await _next(messages)

    running.store.delete(Kind.POD, "shop", "curl")
    with pytest.raises(EndedError) as raised:
        await _next(messages)

    assert (grpc.StatusCode.NOT_FOUND, "no Pod shop/curl in the mesh") == raised.value.args


async def test_a_pod_that_is_not_there_is_not_waited_for(running: RunningHub) -> None:
    await running.holds(*MESH)

    with pytest.raises(EndedError) as raised:
        await _next(_watch(running, node_id="ghost.shop"))

    assert grpc.StatusCode.NOT_FOUND == raised.value.args[0]


async def test_nothing_is_told_before_everything_is_listed(running: RunningHub) -> None:
    with pytest.raises(EndedError) as raised:
        await _next(_watch(running))

    assert grpc.StatusCode.UNAVAILABLE == raised.value.args[0]


async def test_one_who_has_left_leaves_nothing_behind(running: RunningHub) -> None:
    await running.holds(*MESH)
    answers = running.hub.query_counts.remembered
    one, other = _watch(running, LISTENER), _watch(running, LISTENER)
    await _next(one)
    await _next(other)
    assert running.hub.query_counts.remembered > answers

    assert await _silent(one)
    assert running.hub.query_counts.remembered > answers
    assert await _silent(other)

    assert answers == running.hub.query_counts.remembered


async def test_a_watch_is_no_sidecar(running: RunningHub) -> None:
    await running.holds(*MESH)
    await _next(_watch(running))

    assert 0 == len(running.hub.records)
