"""A client on an older version than others: what it holds is compared with what there is, and large
resources are compared in a thread.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse

from support.control_plane import ControlPlane, control_plane
from support.resources import FakeVocabulary, content_of, resource, resource_set
from support.xds.stream import RawStream
from towpath.encode.pack import unpack
from towpath.model.mesh import Mesh
from towpath.model.names import ClientKind, SidecarId
from towpath.model.snapshot import Resource, Snapshot
from towpath.model.types import CLUSTER, LISTENER
from towpath.settings import StreamLimits
from towpath.xds.ahead import LARGE

PATIENT = StreamLimits(answer_wait=600)
"""However busy the machine is, what waits for a client's answer goes on waiting."""

Seen = tuple[str, str, bool]
"""Of a pair that was compared: what was first, what was second, and whether others waited."""


class Versions:
    """Snapshots that are named by the pod's label `app`; notes what is compared, and where."""

    def __init__(self, size: int) -> None:
        self._filling = "." * size
        self.seen: list[Seen] = []

    def compose(self, mesh: Mesh, _: ClientKind, sidecar: SidecarId) -> Snapshot | None:
        pod = mesh.pod(sidecar)
        if pod is None:
            return None
        version = dict(pod.labels)["app"]
        sets = {
            # Each version has a cluster that the one before has not: listeners must wait for it.
            CLUSTER: resource_set(CLUSTER, {f"cluster-{version}": ""}),
            LISTENER: resource_set(LISTENER, {"out": version + self._filling}),
        }
        return Snapshot(sets, FakeVocabulary(intersection=self._intersection))

    def _intersection(self, before: Resource, after: Resource) -> Resource | None:
        texts = [self.text(content_of(unpack(one))[1]) for one in (before, after)]
        waiting = threading.current_thread() is threading.main_thread()
        self.seen.append((*texts, waiting))  # type: ignore[arg-type]
        both = "&".join(dict.fromkeys([*texts[0].split("&"), texts[1]]))
        return resource(before.type_url, before.name, both + self._filling)

    def text(self, content: str) -> str:
        return content.removesuffix(self._filling)

    def contents(self, response: DiscoveryResponse) -> list[str]:
        return [self.text(content_of(one)[1]) for one in response.resources]


async def _publish(plane: ControlPlane, version: str) -> None:
    path = plane.folder / "curl.yaml"
    fresh = path.with_suffix(".new")
    before, _, after = path.read_text().partition("app: ")
    fresh.write_text(f"{before}app: {version}\n{after.partition(chr(10))[2]}")
    fresh.replace(path)
    async with asyncio.timeout(30):
        while True:
            pod = plane.hub.mesh.pod(SidecarId("curl", "curl"))
            if pod is not None and dict(pod.labels)["app"] == version:
                return
            await asyncio.sleep(0.005)


async def _accept(stream: RawStream, response: DiscoveryResponse) -> None:
    await stream.say(
        response.type_url, version_info=response.version_info, response_nonce=response.nonce
    )


async def _hear_of(stream: RawStream, type_url: str) -> DiscoveryResponse:
    while (response := await stream.hear()).type_url != type_url:
        pass
    return response


async def _settle(stream: RawStream) -> dict[str, str]:
    """Ask for everything, and accept it: the versions."""
    versions = {}
    for type_url in (CLUSTER, LISTENER):
        await stream.say(type_url)
        response = await stream.hear()
        await _accept(stream, response)
        versions[type_url] = response.version_info
    return versions


@pytest.mark.parametrize(("size", "waiting"), [(LARGE, False), (10, True)])
async def test_what_a_client_that_comes_back_holds_is_compared_in_a_thread_if_it_is_large(
    tmp_path: Path, size: int, *, waiting: bool
) -> None:
    versions = Versions(size)
    async with control_plane(tmp_path, compose=versions.compose, limits=PATIENT) as plane:
        await _publish(plane, "a")
        async with plane.stream() as stream:
            earlier = await _settle(stream)
        await _publish(plane, "b")
        versions.seen.clear()
        async with plane.stream() as stream:
            for type_url in (CLUSTER, LISTENER):
                await stream.say(type_url, version_info=earlier[type_url])
            between = await _hear_of(stream, LISTENER)

    assert ["a&b"] == versions.contents(between)
    assert [("a", "b", waiting)] == versions.seen


async def test_what_a_client_was_given_meanwhile_is_compared_in_a_thread_too(
    tmp_path: Path,
) -> None:
    versions = Versions(LARGE)
    async with control_plane(tmp_path, compose=versions.compose, limits=PATIENT) as plane:
        await _publish(plane, "a")
        async with plane.stream() as stream:
            await _settle(stream)
            await _publish(plane, "b")
            first = await _hear_of(stream, LISTENER)
            # It has not answered: what it holds now is not what anybody else went from.
            await _publish(plane, "c")
            second = await _hear_of(stream, LISTENER)

    assert (["a&b"], ["a&b&c"]) == (versions.contents(first), versions.contents(second))
    assert {("a", "b", False), ("b", "c", False), ("a&b", "c", False)} <= set(versions.seen)
    assert not any(waiting for *_, waiting in versions.seen)
