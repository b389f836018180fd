"""Towpath as the server under test: the real hub and the real gRPC server, serving given states."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from support.resources import FakeVocabulary, old
from support.running_hub import hub_that
from support.serving import DEFAULTS, dialed, plaintext_address, serving
from support.xds import contents
from support.xds.target import Target
from towpath.app.ports import Ports
from towpath.encode import envoy
from towpath.encode.pack import resource
from towpath.hub.debounce import Debounce
from towpath.hub.hub import Hub
from towpath.hub.stream import Stream
from towpath.model.credentials import Credential, Subscriber
from towpath.model.mesh import Mesh
from towpath.model.names import Account, ClientKind, Kind, SidecarId
from towpath.model.snapshot import Layer, Resource, ResourceSet, Snapshot
from towpath.model.workloads import Pod
from towpath.rollout.records import StreamRecords
from towpath.settings import MeshSettings, RolloutSettings, StreamLimits
from towpath.store import Store
from towpath.telemetry.metrics import Metrics

PUBLISHED_WITHIN_S = 30.0

Messages = dict[str, dict[str, Message]]
"""By type URL and name."""


class States:
    """The adapter: a node is a pod, and its snapshot is what was said here, not what a mesh needs.

    Each change also changes the pod's label `revision`, by which the hub notices it.
    """

    def __init__(self) -> None:
        self.debounce = Debounce(quiet=0, longest=0, clock=time.monotonic)
        self.store = Store(MeshSettings().scope, on_change=self.debounce.touch)
        for kind in Kind:
            self.store.listed(kind)
        self.hub: Hub
        self._held: dict[SidecarId, Messages] = {}
        self._snapshots: dict[SidecarId, Snapshot] = {}
        self._revision = 0
        self._published = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    def compose(self, mesh: Mesh, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:  # noqa: ARG002
        """What the hub asks instead of composing the snapshot of a mesh."""
        return None if mesh.pod(sidecar) is None else self._snapshots[sidecar]

    def on_publish(self) -> None:
        self._published.set()

    async def set_state(self, node: str, version: str, resources: Sequence[Message]) -> None:  # noqa: ARG002
        state: Messages = {}
        for message in map(contents.completed, resources):
            of_type = state.setdefault(contents.type_of(message), {})
            of_type[contents.name_of(message)] = message
        await self._publish(node, state)

    async def clear_state(self, node: str) -> None:
        sidecar = SidecarId.parse(node)
        self._held.pop(sidecar, None)
        self.store.delete(Kind.POD, sidecar.namespace, sidecar.pod)
        await self._until_published(sidecar, None)
        self._snapshots.pop(sidecar, None)

    async def update_resource(self, node: str, type_url: str, name: str, version: str) -> None:  # noqa: ARG002
        state = self._copy(node)
        old = state[type_url][name]
        changed = type(old).FromString(old.SerializeToString())
        contents.revise(changed, self._revision + 1000)
        state[type_url][name] = changed
        await self._publish(node, state)

    async def add_resource(self, node: str, type_url: str, name: str, version: str) -> None:  # noqa: ARG002
        state = self._copy(node)
        state.setdefault(type_url, {})[name] = contents.message(type_url, name, contents.Item())
        await self._publish(node, state)

    async def remove_resource(self, node: str, type_url: str, name: str, version: str) -> None:  # noqa: ARG002
        state = self._copy(node)
        del state[type_url][name]
        await self._publish(node, state)

    def _copy(self, node: str) -> Messages:
        state = self._held.get(SidecarId.parse(node), {})
        return {type_url: dict(of_type) for type_url, of_type in state.items()}

    async def _publish(self, node: str, state: Messages) -> None:
        sidecar = SidecarId.parse(node)
        async with self._one_at_a_time:
            self._revision += 1
            self._held[sidecar] = state
            self._snapshots[sidecar] = _snapshot(state)
            revision = ("revision", str(self._revision))
            pod = Pod(sidecar.namespace, sidecar.pod, sidecar.pod, labels=(revision,), ports=())
            self.store.apply(pod)
            await self._until_published(sidecar, pod)

    async def _until_published(self, sidecar: SidecarId, pod: Pod | None) -> None:
        async with asyncio.timeout(PUBLISHED_WITHIN_S):
            while not (self.hub.ready and self.hub.mesh.pod(sidecar) == pod):
                self._published.clear()
                await self._published.wait()


def _everybody_proved(hub: type[Hub]) -> type[Hub]:
    """Such a hub that takes each client for the pod that it says it is: only who has proved that is
    sent secrets, and the protocol is the same for them as for the other types.
    """

    def attach(self: Hub, *, sidecar: SidecarId, **rest: Any) -> Stream:
        account = Account(sidecar.namespace, sidecar.pod)
        rest["subscriber"] = Subscriber(account, Credential.CERTIFICATE)
        return hub.attach(self, sidecar=sidecar, **rest)

    return type("HubOfProvedClients", (hub,), {"attach": attach})


def _snapshot(state: Messages) -> Snapshot:
    sets = {
        type_url: ResourceSet(type_url, (Layer(tuple(map(_resource, of_type.values()))),))
        for type_url, of_type in state.items()
    }
    return Snapshot(sets, FakeVocabulary(closed=envoy.closed, intersection=old))


def _resource(message: Message) -> Resource:
    return resource(contents.name_of(message), message)


@dataclass(frozen=True)
class TowpathTarget(Target):
    """Also what a test of Towpath alone may look at."""

    states: States
    metrics: Metrics


@contextlib.asynccontextmanager
async def towpath_target(
    folder: Path | None = None, *, address: str = "", limits: StreamLimits = DEFAULTS
) -> AsyncIterator[TowpathTarget]:
    """Serve on *address*, by default one of this process alone (a unix socket in *folder*)."""
    address = address or plaintext_address(folder)
    states, metrics = States(), Metrics()
    states.hub = _everybody_proved(hub_that(states.compose))(
        states.store,
        states.debounce,
        records=StreamRecords(clock=time.time),
        metrics=metrics,
        clock=time.monotonic,
        on_publish=states.on_publish,
        rollout=RolloutSettings(),
    )
    ports = Ports(address)
    running = asyncio.create_task(states.hub.run())
    try:
        async with serving(states.hub, ports, metrics=metrics, limits=limits) as numbers:
            yield TowpathTarget(dialed(address, numbers), states, states, metrics)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
