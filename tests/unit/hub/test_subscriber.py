"""A stream that somebody subscribed in an account's name is given only that account's snapshots."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from support.fake_time import Now, run_in_fake_time
from support.identities import identity
from support.marked import marked_pod
from support.objects import mesh_config, namespace, pod, service
from support.running_hub import RunningHub, newest, running_hub
from towpath.hub.stream import NotItsPodError, PodGoneError
from towpath.model.credentials import Credential, Subscriber
from towpath.model.names import Account, Kind
from towpath.model.types import CLUSTER, SECRET
from towpath.rollout.records import State
from towpath.settings import DebounceSettings

BUYER, DEFAULT = Account("shop", "buyer"), Account("shop", "default")
MESH = (namespace("shop"), mesh_config(), pod("curl", app="curl"))


async def test_the_pods_own_account_is_served(running: RunningHub) -> None:
    await running.holds(*MESH)

    assert await newest(running.attach("curl", subscriber=DEFAULT)) is not None


async def test_another_account_gets_an_error_and_is_not_shown_as_the_pods(
    running: RunningHub,
) -> None:
    await running.holds(*MESH)
    stream = running.attach("curl", subscriber=BUYER)

    with pytest.raises(NotItsPodError) as raised:
        await stream.next()

    assert BUYER == raised.value.subscriber
    assert (State.WAITING_FOR_POD, None) == (stream.record.state, stream.record.account)


async def test_a_pod_that_appears_is_checked(running: RunningHub) -> None:
    await running.holds(*MESH)
    mine = running.attach("late", subscriber=BUYER)
    others = running.attach("late", subscriber=DEFAULT)
    running.store.apply(pod("late", account="buyer"))
    await running.published()

    assert await newest(mine) is not None
    with pytest.raises(NotItsPodError):
        await others.next()


@pytest.mark.parametrize("seen_away", [True, False])
async def test_a_pod_of_that_name_with_another_account_is_not_served_to_the_first(
    running: RunningHub, *, seen_away: bool
) -> None:
    await running.holds(*MESH)
    stream = running.attach("curl", subscriber=DEFAULT)
    await stream.next()
    running.store.delete(Kind.POD, "shop", "curl")
    if seen_away:
        await running.published()
    running.store.apply(pod("curl", app="curl", account="buyer"))
    await running.published()

    with pytest.raises(NotItsPodError):
        await stream.next()


async def test_a_snapshot_that_was_not_taken_yet_is_not_given_any_more(
    running: RunningHub,
) -> None:
    await running.holds(*MESH)
    stream = running.attach("curl", subscriber=DEFAULT)
    running.store.apply(pod("curl", app="curl", account="buyer"))
    await running.published()

    with pytest.raises(NotItsPodError):
        await stream.next()


async def test_a_stream_once_refused_stays_so(running: RunningHub) -> None:
    await running.holds(*MESH)
    stream = running.attach("curl", subscriber=BUYER)
    running.store.apply(pod("curl", app="curl", account="buyer"))
    await running.published()

    with pytest.raises(NotItsPodError):
        await stream.next()


def test_check_28_a_stream_ends_within_a_second_of_its_pods_removal_in_the_midst_of_changes() -> (
    None
):
    """By the time that is waited for, with the settings of a server; how long the machine needs for
    what it does is not in it.
    """

    async def scenario(now: Now) -> float:
        async with running_hub(clock=now, settle=DebounceSettings()) as running:
            await running.holds(*MESH)
            uid = "0a1b"
            running.store.apply(replace(pod("curl", app="curl"), uid=uid))
            subscriber = Subscriber(DEFAULT, Credential.TOKEN, uid=uid)
            stream = running.attach("curl", subscriber=subscriber)
            await stream.next()
            changing = asyncio.ensure_future(_change_without_end(running))
            await asyncio.sleep(3.14)
            removed_at = now()
            running.store.delete(Kind.POD, "shop", "curl")
            with pytest.raises(PodGoneError):
                while True:
                    await stream.next()
            assert changing.cancel()
            return now() - removed_at

    assert run_in_fake_time(scenario) < 1


async def _change_without_end(running: RunningHub) -> None:
    for number in itertools.count():
        running.store.apply(service("web", ips=(f"10.96.{number % 250}.1",)))
        await asyncio.sleep(0.01)


async def test_secrets_are_for_who_has_proved_to_be_the_account_and_for_nobody_else(
    running: RunningHub,
) -> None:
    running.store.identify(identity())
    await running.holds(*MESH, service("web"), marked_pod("web-1"))
    proved = await newest(running.attach("web-1", subscriber=DEFAULT))
    nobody = await newest(running.attach("web-1"))

    assert proved is not None
    assert nobody is not None
    assert {"service-cert:shop/default", "root-cert-for-mtls-inbound:shop/default"} == set(
        proved.of(SECRET)
    )
    assert (set(), proved.of(CLUSTER).version) == (
        set(nobody.of(SECRET)),
        nobody.of(CLUSTER).version,
    )
