"""Stream: a reader gets the newest snapshot, and is not woken for one that is equal."""

from __future__ import annotations

import asyncio

from support.resources import snapshot
from towpath.hub.stream import Stream
from towpath.hub.subscriptions import Subscriptions
from towpath.model.credentials import Subscriber
from towpath.model.names import Account, ClientKind, SidecarId
from towpath.model.types import CLUSTER
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import Quarantine
from towpath.rollout.records import StreamRecords
from towpath.settings import RolloutSettings

CURL = Account("shop", "curl")
FIRST = snapshot({CLUSTER: {"a": "1"}})
SECOND = snapshot({CLUSTER: {"a": "2"}})
THIRD = snapshot({CLUSTER: {"a": "3"}})


def _stream(subscriber: Subscriber | None = None) -> Stream:
    return Stream(
        StreamRecords(clock=lambda: 0.0).open(
            peer="test",
            node_id="curl.shop",
            sidecar=SidecarId(pod="curl", namespace="shop"),
            kind=ClientKind.ENVOY,
            variant="sotw",
        ),
        quarantine=Quarantine(RolloutSettings(), clock=lambda: 0.0),
        subscriptions=Subscriptions(forget=lambda _: None),
        build=ClientBuild(ClientKind.ENVOY),
        subscriber=subscriber,
    )


async def test_a_reader_that_waits_is_given_what_is_published() -> None:
    stream = _stream()
    waiting = asyncio.ensure_future(stream.next())
    await asyncio.sleep(0)
    assert not waiting.done()

    stream.publish(FIRST, account=CURL, revision=1, changed_at=5.0)

    assert (FIRST, 5.0) == await waiting


async def test_a_busy_reader_gets_the_newest_and_never_the_backlog() -> None:
    stream = _stream()

    for snap in (FIRST, SECOND, THIRD):
        stream.publish(snap, account=CURL, revision=1, changed_at=None)

    assert (THIRD, None) == await stream.next()
    assert await _asleep(stream)


async def test_the_time_is_that_of_the_first_change_not_yet_taken() -> None:
    stream = _stream()
    stream.publish(FIRST, account=CURL, revision=1, changed_at=1.0)
    stream.publish(SECOND, account=CURL, revision=1, changed_at=2.0)

    assert (SECOND, 1.0) == await stream.next()

    stream.publish(THIRD, account=CURL, revision=1, changed_at=3.0)
    assert (THIRD, 3.0) == await stream.next()


async def test_an_equal_snapshot_wakes_nobody() -> None:
    stream = _stream()
    stream.publish(FIRST, account=CURL, revision=1, changed_at=None)
    await stream.next()

    stream.publish(snapshot({CLUSTER: {"a": "1"}}), account=CURL, revision=1, changed_at=9.0)

    assert await _asleep(stream)


async def _asleep(stream: Stream) -> bool:
    """True if there is nothing to take now."""
    waiting = asyncio.ensure_future(stream.next())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asleep = not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return asleep
