"""What policies cost the hub: planned once for what they say, and never where others wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.objects import egress, mesh_config, namespace, pod, service
from support.running_hub import RunningHub
from towpath.encode.envoy import egress_chains
from towpath.model.names import Account, ClientKind, Protocol, SidecarId
from towpath.model.types import LISTENER
from towpath.planning.egress.decide import Attempt
from towpath.planning.egress.zones import egress_ports

SERVICES = 1_000
MANY = 600
RANGES = tuple(f"192.{n >> 8}.{n & 255}.0/24" for n in range(MANY))
HOSTS = tuple(f"h{n}.example.com" for n in range(MANY))
LARGE = egress("large", (443, Protocol.HTTPS), hosts=HOSTS, ranges=RANGES)
MESH = (namespace("shop"), mesh_config(policies=True), pod("web", account="default"))


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """In which thread ports were planned, and chains encoded, each time."""
    found: list[int] = []

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **keywords: Any) -> Any:
            found.append(threading.get_ident())
            return function(*args, **keywords)

        return noted

    monkeypatch.setattr("towpath.planning.egress.ways.egress_ports", noting(egress_ports))
    monkeypatch.setattr("towpath.encode.envoy.egress_chains", noting(egress_chains))
    return found


async def test_a_thousand_services_that_change_do_not_replan_egress(
    running: RunningHub, threads: list[int]
) -> None:
    await running.holds(*MESH, LARGE)
    stream = running.attach("web")
    before, _ = await stream.next()
    planned = len(threads)
    for number in range(SERVICES):
        running.store.apply(service(f"s{number}", ips=[f"10.{number >> 8}.{number & 255}.1"]))
        if number % 100 == 0:
            await running.published()
    await running.published()
    after = stream.snapshot

    assert planned == 2
    assert len(threads) == planned
    assert after is not None
    assert after.of(LISTENER).version != before.of(LISTENER).version


async def test_accounts_of_which_the_same_policies_speak_share_a_plan(
    running: RunningHub, threads: list[int]
) -> None:
    accounts = [Account("shop", f"a{n}") for n in range(20)]
    pods = [pod(f"p{n}", account=f"a{n}") for n in range(20)]
    policy = egress("large", (443, Protocol.HTTPS), hosts=HOSTS, sources=accounts)
    await running.holds(*MESH, policy, *pods)
    for one in pods:
        await running.attach(one.name).next()

    assert len(threads) == 2


async def test_a_large_plan_is_made_where_nobody_waits_for_it(
    running: RunningHub, threads: list[int]
) -> None:
    await running.holds(*MESH, LARGE)
    stream = running.attach("web")

    assert stream.snapshot is None
    await stream.next()
    assert len(threads) == 2
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda hub: (hub.problems,), id="problems"),
        pytest.param(
            lambda hub: (hub.snapshot, ClientKind.ENVOY, SidecarId("web", "shop")), id="render"
        ),
        pytest.param(
            lambda hub: (
                hub.explain,
                Account("shop", "default"),
                Attempt("192.0.0.1", 443, Protocol.HTTPS, HOSTS[0]),
            ),
            id="explain",
        ),
        pytest.param(lambda hub: (hub.policies,), id="policies"),
    ],
)
async def test_people_who_ask_keep_nobody_waiting_either(
    running: RunningHub, threads: list[int], ask: Callable[[Any], tuple[Any, ...]]
) -> None:
    await running.holds(*MESH, LARGE)
    answer = await running.hub.in_turn(*ask(running.hub))

    assert threading.get_ident() not in threads
    assert answer == ask(running.hub)[0](*ask(running.hub)[1:])
