"""What policies cost the hub: planned once for what they say, and never where others wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.objects import egress, mesh_config, namespace, pod, service, service_account
from support.running_hub import RunningHub
from support.xds_peer import NODE, sotw_session
from towpath.encode.envoy import egress_chains, intersection
from towpath.model.egress import Egress
from towpath.model.names import Account, ClientKind, Protocol, SidecarId
from towpath.model.snapshot import Resource
from towpath.model.types import CLUSTER, LISTENER, ROUTES
from towpath.planning.egress.address_ranges import egress_ports
from towpath.planning.egress.decide import Attempt
from towpath.xds.messages import Reply, SotwRequest

SERVICES = 1_000
MANY = 600
ACCOUNTS = 5
NAMES = frozenset({"rds-egress.80"})
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

    monkeypatch.setattr("towpath.planning.egress.plan.egress_ports", noting(egress_ports))
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


async def test_service_accounts_that_come_change_problems_and_replan_nothing(
    running: RunningHub, threads: list[int]
) -> None:
    policy = egress("large", (443, Protocol.HTTPS), hosts=HOSTS, sources=[Account("shop", "crul")])
    await running.holds(*MESH, LARGE, policy, service_account("curl"))
    stream = running.attach("web")
    before, _ = await stream.next()
    missing = await running.hub.policy_problems()
    planned = len(threads)
    for account in (*(f"a{n}" for n in range(100)), "crul"):
        running.store.apply(service_account(account))
    await running.published()

    assert ["Missing"] == [problem.reason for problem in missing]
    assert () == await running.hub.policy_problems()
    assert planned == len(threads)
    assert before is stream.snapshot


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


@pytest.fixture
def meets(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """In which thread two versions of a resource were compared, and its name, each time."""
    found: list[tuple[int, str]] = []

    def noted(held: Resource, new: Resource, **words: bool) -> Resource | None:
        found.append((threading.get_ident(), new.name))
        return intersection(held, new, **words)

    monkeypatch.setattr("towpath.encode.envoy.vocabulary.intersection", noted)
    return found


def names_of(*changed: str) -> Egress:
    """A policy of many hosts, which are one large resource of routes."""
    accounts = [Account("shop", f"a{n}") for n in range(ACCOUNTS)]
    hosts = (*HOSTS, *changed)
    return egress("large", (80, Protocol.HTTP), hosts=hosts, ranges=None, sources=accounts)


async def test_a_large_change_is_compared_once_for_all_where_nobody_waits_for_it(
    running: RunningHub, meets: list[tuple[int, str]]
) -> None:
    pods = [pod(f"p{n}", account=f"a{n}") for n in range(ACCOUNTS)]
    await running.holds(*MESH, names_of(), *pods)
    streams = [running.attach(one.name) for one in pods]
    old = [(await stream.next())[0] for stream in streams]
    assert not meets

    running.store.apply(names_of("new.example.com"))
    new = [(await stream.next())[0] for stream in streams]

    assert old[0].of(ROUTES).version != new[0].of(ROUTES).version
    assert len(set(new)) == 1
    assert [name for _, name in meets] == ["rds-egress.80"]
    assert threading.get_ident() not in {thread for thread, _ in meets}


async def test_until_a_large_change_is_compared_nothing_of_it_is_told_and_then_all(
    running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def waits(held: Resource, new: Resource, **words: bool) -> Resource | None:
        begun.set()
        assert go_on.wait(30)
        return intersection(held, new, **words)

    monkeypatch.setattr("towpath.encode.envoy.vocabulary.intersection", waits)
    await running.holds(*MESH, names_of(), pod("p0", account="a0"))
    stream = running.attach("p0")
    before, _ = await stream.next()
    running.store.apply(names_of("new.example.com"))
    while not begun.is_set():
        await asyncio.sleep(0)

    assert (stream.snapshot, running.hub.quarantine.trials()) == (before, 0)
    go_on.set()
    after, _ = await stream.next()
    changed = [
        *after.of(ROUTES).changed_since(before.of(ROUTES)),
        *after.of(CLUSTER).changed_since(before.of(CLUSTER)),
    ]
    assert len(changed) == 2
    assert running.hub.quarantine.trials() == len(changed)


async def test_clients_that_wait_for_others_are_told_what_was_compared_already(
    running: RunningHub, meets: list[tuple[int, str]]
) -> None:
    pods = [pod(f"p{n}", account=f"a{n}") for n in range(ACCOUNTS)]
    await running.holds(*MESH, names_of(), *pods)
    streams = [running.attach(one.name) for one in pods]
    sessions = []
    for stream in streams:
        first, _ = await stream.next()
        session = sotw_session(stream.client)
        session.on_snapshot(first)
        (reply,) = session.on_request(SotwRequest(ROUTES, node=NODE, names=NAMES))
        assert isinstance(reply, Reply)
        answer = SotwRequest(ROUTES, names=NAMES, nonce=reply.nonce, version=reply.version)
        session.on_request(answer)
        sessions.append(session)

    running.store.apply(names_of("new.example.com"))
    sent = [
        session.on_snapshot((await stream.next())[0])
        for stream, session in zip(streams, sessions, strict=True)
    ]

    assert [len(events) for events in sent] == [1, 1] + [0] * (ACCOUNTS - 2)
    assert [name for _, name in meets] == ["rds-egress.80"]
