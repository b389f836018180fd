"""Two replicas on one cluster: the same for everybody, and one of them writes status."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.dataplane import wait
from support.dataplane.policy import egress
from support.kube.cluster import Cluster
from support.kube.following import NAMED, TYPES, following, snapshot, until_name
from support.kube.replica import Replica
from support.kube.shared import Address, apply_demo_mesh
from towpath.kubeapi.configuration import connect
from towpath.kubeapi.paths import COLLECTIONS
from towpath.model.names import Kind
from towpath_client import CLUSTER, Mode

pytestmark = pytest.mark.kube

RESENT: dict[Mode, dict[str, int]] = {
    "delta": {"cds": 0, "eds": 0, "lds": 0, "rds": 0},
    # One version stands for a whole type: it does not say which of the named a client holds.
    "sotw": {"cds": 0, "eds": 1, "lds": 0, "rds": 2},
}
"""How many resources of each type a client is sent again by the replica that it comes to."""
LEASE_ENDS_WITHIN_S = 60.0
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def meshed(cluster: Cluster) -> Iterator[Cluster]:
    apply_demo_mesh(cluster)
    yield cluster
    cluster.kubectl("delete", "egress", "--all", "-n", "curl")


@pytest.fixture
def pair(meshed: Cluster, tmp_path: Path) -> Iterator[tuple[Replica, Replica]]:
    """Two replicas, of which the first writes status."""
    meshed.kubectl("delete", "leases", "--all", "-n", "osm-system")  # of one that was killed
    with ExitStack() as stack:
        first = stack.enter_context(Replica(meshed, "first", tmp_path))
        wait.until(lambda: writes_status(first), bool, what="the first writes status")
        second = stack.enter_context(Replica(meshed, "second", tmp_path))
        yield first, second


def writes_status(replica: Replica) -> bool:
    return replica.metric("towpath_status_writer") == 1


def writes(*replicas: Replica, kind: str = "Egress", result: str = "written") -> float:
    return sum(
        one.metric("towpath_status_writes_total", kind=kind, result=result) for one in replicas
    )


def status(cluster: Cluster, name: str) -> dict[str, Any]:
    found = cluster.kubectl("get", "egress", name, "-n", "curl", "-o", "json").json()
    return dict(found.get("status") or {})


def programmed(held: dict[str, Any]) -> tuple[str, int, int]:
    """Its reason, and how many sidecars are affected and have acknowledged."""
    reasons = {one["type"]: one["reason"] for one in held.get("conditions", ())}
    counts = held.get("affectedSidecars", -1), held.get("acknowledgedSidecars", -1)
    return reasons.get("Programmed", ""), *counts


def until_programmed(cluster: Cluster, name: str, expected: tuple[str, int, int]) -> None:
    wait.until(
        lambda: programmed(status(cluster, name)),
        lambda seen: seen == expected,
        what=f"the status of {name} is {expected}",
        within_s=WITHIN_S,
    )


def test_both_have_the_same_resources_in_the_same_versions(
    meshed: Cluster, pair: tuple[Replica, Replica]
) -> None:
    first, second = pair
    for name in ("same-1", "same-2"):
        meshed.apply(egress(name, (80, "http"), hosts=[f"{name}.test"]))
        until_programmed(meshed, name, ("NoSidecars", 0, 0))
        wait.until(
            lambda: (snapshot(first, "curl.curl"), snapshot(second, "curl.curl")),
            lambda both: both[0] == both[1],
            what="both have the same",
        )
        held = snapshot(second, "curl.curl")
        assert f"{name}.test:80" in {r.name for one in held.types for r in one.resources}
    meshed.kubectl("delete", "egress", "same-1", "same-2", "-n", "curl")


@pytest.mark.parametrize("mode", ["delta", "sotw"])
async def test_a_client_that_fails_over_is_sent_only_what_it_may_not_have(
    mode: Mode, meshed: Cluster, pair: tuple[Replica, Replica], tmp_path: Path
) -> None:
    first, second = pair
    address = Address(tmp_path / "ads.sock")
    address.leads_to(first)
    applied = meshed.apply(egress("out", (80, "http"), hosts=["httpbin.org"]))
    assert applied.exit_code == 0, applied.error
    for replica in pair:
        await asyncio.to_thread(until_name, replica, "httpbin.org:80")
    async with following(address.path, "curl.curl", mode, first) as seen:
        await asyncio.to_thread(first.wait_accepted, "curl.curl")
        assert set(TYPES) == {type_url for type_url, _ in seen}
        before = first.sent()
        assert all(count for count, _ in before.values()), before
        seen.clear()
        address.leads_to(second)
        first.kill()
        await asyncio.to_thread(second.wait_accepted, "curl.curl")

        after = second.sent()
        print(f"{mode}: the first sent {before}, after the fail-over the second {after}")
        assert RESENT[mode] == {short: count for short, (count, _) in after.items()}
        again = [name for t, update in seen if t not in NAMED for name in update.received]
        assert ([], []) == (again, [name for _, update in seen for name in update.changed])

        more = egress("more", (80, "http"), hosts=["more.test"])
        await asyncio.to_thread(meshed.apply, more)
        await asyncio.to_thread(
            wait.until,
            lambda: {(t, name) for t, update in list(seen) for name in update.changed},
            lambda changed: (CLUSTER, "more.test:80") in changed,
            what="the new policy's cluster has come",
        )
        await asyncio.to_thread(second.wait_accepted, "curl.curl")
        changed = {name for t, update in seen if t == CLUSTER for name in update.changed}
        assert {"more.test:80"} == changed
    meshed.kubectl("delete", "egress", "out", "more", "-n", "curl")


async def test_counts_are_those_of_all_replicas_and_each_change_is_written_once(
    meshed: Cluster, pair: tuple[Replica, Replica]
) -> None:
    first, second = pair
    begun = writes(*pair)
    async with changes(meshed) as seen:
        await asyncio.to_thread(meshed.apply, egress("sum", (80, "http"), hosts=["sum.test"]))
        await asyncio.to_thread(until_programmed, meshed, "sum", ("NoSidecars", 0, 0))
        for replica in pair:
            await asyncio.to_thread(until_name, replica, "sum.test:80")
        async with (
            following(first.socket, "curl.curl", "delta", first),
            following(second.socket, "curl-2.curl", "sotw", second),
        ):
            await asyncio.to_thread(until_programmed, meshed, "sum", ("Programmed", 2, 2))
        await asyncio.to_thread(until_programmed, meshed, "sum", ("NoSidecars", 0, 0))
        written = writes(*pair) - begun
        await asyncio.to_thread(
            wait.until, lambda: len(seen), lambda count: count >= written, what="all are seen"
        )
        print(f"{written:.0f} writes by both replicas for {len(seen)} changes of the object")

    assert len(seen) == written
    assert 0 == writes(second) == writes(*pair, result="failed")
    meshed.kubectl("delete", "egress", "sum", "-n", "curl")


@asynccontextmanager
async def changes(cluster: Cluster) -> AsyncIterator[list[str]]:
    """Each change of an Egress that exists, as a watch tells it."""
    seen: list[str] = []
    api = await connect(cluster.kubeconfig(), "")
    path = COLLECTIONS[Kind.EGRESS].path("curl")
    version = json.loads(await api.get(path, {}))["metadata"]["resourceVersion"]

    async def follow() -> None:
        async with api.watch(path, {"resourceVersion": version}, idle_s=60) as lines:
            async for line in lines:
                event = json.loads(line)
                if event["type"] == "MODIFIED":
                    seen.append(event["object"]["metadata"]["name"])

    following_it = asyncio.create_task(follow())
    try:
        yield seen
        assert not following_it.done(), following_it
    finally:
        following_it.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following_it
        await api.close()


def test_one_that_ends_hands_over_at_once_and_one_that_dies_when_its_lease_ends(
    meshed: Cluster, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(Replica(meshed, name, tmp_path)) for name in ("a", "b")
        )
        wait.until(lambda: writes_status(first) or writes_status(second), bool, what="one writes")
        holder, other = (first, second) if writes_status(first) else (second, first)
        ended = time.monotonic()
        assert 0 == holder.stop()
        wait.until(lambda: writes_status(other), bool, what="the other writes")
        politely = time.monotonic() - ended
        meshed.apply(egress("after-end", (80, "http"), hosts=["a.test"]))
        until_programmed(meshed, "after-end", ("NoSidecars", 0, 0))

        third = stack.enter_context(Replica(meshed, "c", tmp_path))
        died = time.monotonic()
        other.kill()
        wait.until(
            lambda: writes_status(third),
            bool,
            what="the third writes",
            within_s=LEASE_ENDS_WITHIN_S,
        )
        rudely = time.monotonic() - died
        meshed.apply(egress("after-death", (80, "http"), hosts=["b.test"]))
        until_programmed(meshed, "after-death", ("NoSidecars", 0, 0))
        print(f"taken over {politely:.1f} s after SIGTERM, {rudely:.1f} s after SIGKILL")

    leases = meshed.kubectl("get", "leases", "-n", "osm-system", "-o", "json").json()["items"]
    holders = {one["metadata"]["name"]: one["spec"].get("holderIdentity") for one in leases}
    assert "" == holders["towpath-status"]
    assert politely < rudely
    meshed.kubectl("delete", "egress", "after-end", "after-death", "-n", "curl")
