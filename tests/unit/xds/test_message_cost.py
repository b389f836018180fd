"""What a message costs the event loop: no task and no timer of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest

from support.resources import snapshot
from support.xds.told import read_sotw
from support.xds_peer import NODE, sotw_session
from towpath.hub.stream import Stream
from towpath.hub.subscriptions import Subscriptions
from towpath.model.names import Account, ClientKind, SidecarId
from towpath.model.types import CLUSTER
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import Quarantine
from towpath.rollout.records import StreamRecords
from towpath.settings import RolloutSettings, StreamLimits
from towpath.telemetry.metrics import Metrics
from towpath.xds.ahead import Ahead
from towpath.xds.conversation import Context, Conversation
from towpath.xds.messages import SotwRequest
from towpath.xds.pace import Pace
from towpath.xds.requests import RequestParser
from towpath.xds.variant import SOTW
from towpath.xds.watchdog import ReadWatchdog
from towpath.xds.wire import Message

MESSAGES = 20
SOURCE = Account("shop", "curl")


class FakeContext:
    """What has been written, for a client that reads all at once."""

    def __init__(self) -> None:
        self.written: asyncio.Queue[bytes] = asyncio.Queue()

    async def write(self, message: Message) -> None:
        self.written.put_nowait(b"".join(message))


@contextlib.asynccontextmanager
async def _conversation() -> AsyncIterator[tuple[Stream, FakeContext, asyncio.Queue[bytes]]]:
    """A stream that has its first clusters, what is written to it, and what it says."""
    limits, clock = StreamLimits(), asyncio.get_running_loop().time
    records = StreamRecords(clock=clock)
    record = records.open(
        peer="test",
        node_id=NODE.id,
        sidecar=SidecarId(pod="curl", namespace="shop"),
        kind=ClientKind.ENVOY,
        variant="sotw",
    )
    quarantine = Quarantine(RolloutSettings(), clock=clock)
    stream = Stream(
        record,
        quarantine=quarantine,
        subscriptions=Subscriptions(forget=lambda _: None),
        build=ClientBuild(ClientKind.ENVOY),
        subscriber=None,
    )
    first = snapshot({CLUSTER: {"a": "0"}})
    stream.publish(first, account=SOURCE, revision=0, changed_at=None)
    await stream.next()
    context, requests = FakeContext(), asyncio.Queue[bytes]()
    conversation = Conversation(
        stream,
        sotw_session(stream.client),
        cast("Context", context),
        records=records,
        metrics=Metrics(),
        clock=clock,
        limits=limits,
        parser=RequestParser(limits),
        watchdog=ReadWatchdog(limits.read_wait),
        ahead=Ahead(),
        pace=Pace(),
    )

    async def said() -> AsyncIterator[bytes]:
        while True:
            yield await requests.get()

    await conversation.begin(first, SotwRequest(CLUSTER, node=NODE))
    going_on = asyncio.create_task(conversation.go_on(said(), SOTW))
    try:
        yield stream, context, requests
    finally:
        going_on.cancel()
        await asyncio.gather(going_on, return_exceptions=True)


def _counted(calls: list[str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    call: Callable[..., Any] = getattr(loop, name)

    def count(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return call(*args, **kwargs)

    monkeypatch.setattr(loop, name, count)


async def test_pushes_and_their_acks_need_no_task_and_no_timer_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _conversation() as (stream, context, requests):
        calls: list[str] = []
        await context.written.get()
        await asyncio.sleep(0)
        for name in ("create_task", "call_at"):
            _counted(calls, name, monkeypatch)

        for number in range(1, MESSAGES + 1):
            new = snapshot({CLUSTER: {"a": str(number)}})
            stream.publish(new, account=SOURCE, revision=number, changed_at=None)
            told = read_sotw(await context.written.get(), lambda packed: ("a", packed.value))
            answer = DiscoveryRequest(
                type_url=CLUSTER, version_info=told.version, response_nonce=told.nonce
            )
            requests.put_nowait(answer.SerializeToString())
            while not stream.record.acknowledged(new.version):
                await asyncio.sleep(0)

        assert ["call_at"] >= calls  # the watchdog's, of all writes
