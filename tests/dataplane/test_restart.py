"""The control plane is killed and started again; the sidecars carry on, and lose nothing."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from support.dataplane.clients import Address, Outcome, probe, steady_calls, until_outcome
from support.dataplane.hosts import APP_PORT
from support.dataplane.network import POD_ADDRESSES
from support.dataplane.rig import OUTSIDE_HTTP, Rig
from support.dataplane.wait import equals, until
from towpath.encode.envoy.bootstrap import Transport

pytestmark = pytest.mark.dataplane

SERVICE: Address = ("10.96.0.20", 80)
CLUSTER = "bookstore/bookstore|80"
HOSTS = [f"{POD_ADDRESSES[pod]}:{APP_PORT}" for pod in ("bookstore-0", "bookstore-1")]


async def test_traffic_never_stops_while_the_control_plane_is_killed_and_restarted(
    bookstore: Rig,
) -> None:
    await bookstore.toggle(on=True)
    async with (
        steady_calls(bookstore.client, SERVICE) as inside,
        steady_calls(bookstore.client, OUTSIDE_HTTP) as outside,
    ):
        bookstore.towpath.process.kill()
        await asyncio.to_thread(disconnected, bookstore)
        bookstore.towpath.process.start()
        await asyncio.to_thread(bookstore.towpath.wait_ready)
        await asyncio.to_thread(connected, bookstore)
        await bookstore.toggle(on=True)

    assert (inside.lost, outside.lost) == (0, 0), f"{inside.outcomes} {outside.outcomes}"
    assert min(inside.opened, outside.opened) > 0


def test_a_reconnected_sidecar_is_sent_nothing_that_it_holds(bookstore: Rig) -> None:
    bookstore.switch_egress(on=False)
    closed_everywhere(bookstore)
    bookstore.towpath.process.kill()
    bookstore.towpath.start()
    connected(bookstore)
    everyone = len(bookstore.sidecars)
    named = {"eds": everyone, "rds": everyone} if bookstore.transport is Transport.SOTW else {}
    sent_first = sent(bookstore, named)

    # A stream keeps its order: once this change has arrived, so has all that was sent before it.
    second = POD_ADDRESSES["bookstore-1"]
    bookstore.manifests.add_endpoint("bookstore", name="second", address=second)
    for name, sidecar in bookstore.sidecars.items():
        sidecar.until(
            partial(sidecar.admin.hosts, CLUSTER),
            equals(HOSTS),
            what=f"{name} has the new endpoint",
        )
    sent_then = bookstore.towpath.responses()
    bookstore.manifests.remove_endpoint("second")

    assert sent_first == named
    assert without_zeros(sent_then) == {**named, "eds": named.get("eds", 0) + everyone}


async def test_what_changed_while_the_control_plane_was_away_is_obeyed_when_it_is_back(
    bookstore: Rig,
) -> None:
    await bookstore.toggle(on=False)
    bookstore.towpath.process.kill()
    bookstore.manifests.set_egress(on=True)
    meanwhile = await probe(bookstore.client, OUTSIDE_HTTP)
    bookstore.towpath.start()

    assert meanwhile is Outcome.CUT
    await until_outcome(bookstore.client, OUTSIDE_HTTP, Outcome.ANSWERED)


def test_a_killed_sidecar_comes_back_with_everything(bookstore: Rig) -> None:
    client = bookstore.sidecar
    before = set(client.admin.listeners()), set(client.admin.clusters())
    client.process.kill()
    client.process.start()
    client.wait_ready()

    assert (set(client.admin.listeners()), set(client.admin.clusters())) == before
    assert asyncio.run(probe(bookstore.client, SERVICE)) is Outcome.ANSWERED


def closed_everywhere(bookstore: Rig) -> None:
    """Return when every sidecar, not only the client's, has taken «egress off»."""
    for name, sidecar in bookstore.sidecars.items():
        sidecar.until(
            sidecar.admin.listeners,
            lambda held: "default_filter_chain" not in held["outbound-listener"]["listener"],
            what=f"{name} has closed the way out",
        )


def connected(bookstore: Rig) -> None:
    """Return when the control plane has a stream of every sidecar."""
    until(
        partial(bookstore.towpath.metric, "towpath_connected_sidecars", kind="envoy"),
        equals(1.0 * len(bookstore.sidecars)),
        what="every sidecar is connected",
        context=bookstore.towpath.process.tail,
    )


def disconnected(bookstore: Rig) -> None:
    """Return when every sidecar has noticed that its control plane is gone."""
    for name, sidecar in bookstore.sidecars.items():
        sidecar.until(
            partial(sidecar.admin.stat, "control_plane.connected_state"),
            equals(0),
            what=f"{name} is disconnected",
        )


def sent(bookstore: Rig, expected: dict[str, int]) -> dict[str, int]:
    """What was sent since the start, once there is at least what was expected."""
    return until(
        lambda: without_zeros(bookstore.towpath.responses()),
        lambda seen: all(seen.get(t, 0) >= n for t, n in expected.items()),
        what=f"responses are sent: {expected}",
        context=bookstore.towpath.process.tail,
    )


def without_zeros(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
