"""Egress policies far larger than anybody needs: what planning and encoding them costs.

CPU seconds of this process, and how many more function calls twice as much takes: what grows in
proportion doubles them, however busy the machine is.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import time
from collections.abc import Callable

from bench.hostile.row import Row
from support.objects import egress, mesh_config, namespace, pod
from support.running_hub import running_hub
from towpath.encode import envoy
from towpath.model.egress import RequestMatch
from towpath.model.names import Account, Protocol
from towpath.model.plan import Destinations, Outbound
from towpath.model.types import CLUSTER
from towpath.planning.egress.limits import MOST_ENTRIES, admit
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule

SIZE = 5_000
ROUNDS = 3
SIDECARS = 3
MIB = 2**20

Rules = Callable[[int], tuple[Rule, ...]]


def measure() -> list[Row]:
    """A row for each shape of policies, and one for each kind of those who wait meanwhile."""
    protocols = (Protocol.HTTP, Protocol.HTTPS)
    return [
        *(_row(what, rules) for what, rules in SHAPES.items()),
        *(asyncio.run(_held(protocol)) for protocol in protocols),
    ]


async def _held(protocol: Protocol) -> Row:
    """The longest that the event loop is held while sidecars with such a policy are served.

    First it comes, then one of its hosts becomes another.
    """
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        while True:
            begun = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - begun)

    figures = []
    async with running_hub() as running:
        pods = [pod(f"web-{n}", account=f"web-{n}") for n in range(SIDECARS)]
        await running.holds(namespace("shop"), mesh_config(policies=True), *pods)
        streams = [running.attach(one.name) for one in pods]
        for hosts in (_hosts(SIZE), (*_hosts(SIZE - 1), "another.example.com")):
            longest = 0.0
            looking = asyncio.create_task(look())
            accounts = [Account("shop", one.name) for one in pods]
            running.store.apply(
                egress("a", (443, protocol), hosts=hosts, ranges=None, sources=accounts)
            )
            for stream in streams:
                while f"{hosts[-1]}:443" not in (await stream.next())[0].of(CLUSTER):
                    pass
            await running.hub.in_turn(running.hub.problems)
            looking.cancel()
            figures.append(f"{longest * 1000:.0f} ms")
    cost = f"the loop is held for {figures[0]} at most, {figures[1]} when one host changes"
    what = f"{SIZE} hosts by name, {protocol}, {SIDECARS} sidecars"
    return Row(what, cost, "slices of 20 ms, and a thread")


def _row(what: str, rules: Rules) -> Row:
    growth = _calls(rules(SIZE)) / _calls(rules(SIZE // 2))
    spent, size, closed = min(_cost(rules(SIZE)) for _ in range(ROUNDS))
    cost = f"{spent:.2f} s CPU, {growth:.2f} times what half takes, {size / MIB:.1f} MiB"
    limit = f"{MOST_ENTRIES} entries: " + (f"{closed} policies closed" if closed else "within")
    return Row(what, cost, limit)


def _calls(rules: tuple[Rule, ...]) -> int:
    profile = cProfile.Profile()
    profile.runcall(_cost, rules)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def _cost(rules: tuple[Rule, ...]) -> tuple[float, int, int]:
    """CPU seconds, bytes of resources, and how many policies were closed."""
    begun = time.process_time()
    admitted = admit(rules, "shop", False)
    opened = egress_plan(admitted.rules, passthrough=False)
    plan = Outbound(Destinations(), passthrough=False, egress=opened)
    layers = (
        envoy.egress_clusters(opened),
        envoy.egress_routes(opened),
        envoy.outbound_listener(plan),
    )
    spent = time.process_time() - begun
    size = sum(len(one.packed) for layer in layers for one in layer.values())
    return spent, size, len(admitted.closed)


def _rule(policy: str, protocol: Protocol, port: int = 443, **fields: object) -> Rule:
    known: dict[str, object] = {"hosts": None, "ranges": None, "matches": None, **fields}
    return Rule(f"shop/{policy}", port, protocol, setting=None, **known)  # type: ignore[arg-type]


def _ranges(count: int) -> tuple[str, ...]:
    return tuple(f"10.{n >> 8}.{n & 255}.0/24" for n in range(count))


def _hosts(count: int) -> tuple[str, ...]:
    return tuple(f"h{n}.example.com" for n in range(count))


def _one_range_each(count: int) -> tuple[Rule, ...]:
    return tuple(
        _rule(str(n), Protocol.TCP, ranges=(range_,)) for n, range_ in enumerate(_ranges(count))
    )


def _product(protocol: Protocol) -> Rules:
    return lambda n: (_rule("a", protocol, hosts=_hosts(n), ranges=_ranges(n)),)


def _by_name(protocol: Protocol) -> Rules:
    return lambda n: (_rule("a", protocol, hosts=_hosts(n)),)


def _beyond(count: int) -> tuple[Rule, ...]:
    paths = tuple(RequestMatch(f"/{n}") for n in range(100))
    return tuple(
        _rule("a", Protocol.HTTP, port, hosts=_hosts(count // 25), matches=paths)
        for port in range(1, 101)
    )


SHAPES: dict[str, Rules] = {
    f"{SIZE} policies of one range each": _one_range_each,
    f"{SIZE} ranges x {SIZE} hosts, http": _product(Protocol.HTTP),
    f"{SIZE} ranges x {SIZE} hosts, https": _product(Protocol.HTTPS),
    f"{SIZE} hosts by name, http": _by_name(Protocol.HTTP),
    f"{SIZE} hosts by name, https": _by_name(Protocol.HTTPS),
    "100 ports x 200 hosts x 100 requests": _beyond,
}
