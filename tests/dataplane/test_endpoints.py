"""Endpoints, clusters and services that change while traffic flows."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from support.dataplane.clients import Address, curl, steady_calls
from support.dataplane.hosts import APP_PORT
from support.dataplane.network import POD_ADDRESSES
from support.dataplane.rig import Rig
from support.dataplane.subscriber import first_updates
from support.dataplane.wait import equals

pytestmark = pytest.mark.dataplane

SERVICE: Address = ("10.96.0.20", 80)
CLUSTER = "bookstore/bookstore|80"
FIRST, SECOND = (f"{POD_ADDRESSES[pod]}:{APP_PORT}" for pod in ("bookstore-0", "bookstore-1"))
ROUTES = f"rds-outbound.{CLUSTER}"
AT_ONCE_S = 10.0
"""Below the 15 s after which Envoy gives up waiting for a resource."""


def test_an_added_endpoint_takes_its_share_and_a_removed_one_gets_nothing(bookstore: Rig) -> None:
    before = answers(bookstore)
    add_second(bookstore)
    both = answers(bookstore)
    remove_second(bookstore)
    after = answers(bookstore)

    assert before == {"bookstore-0"}
    assert both == {"bookstore-0", "bookstore-1"}
    assert after == {"bookstore-0"}


def test_an_endpoint_is_sent_without_any_other_resource(bookstore: Rig) -> None:
    sent = bookstore.towpath.responses()
    taken = updates(bookstore)

    add_second(bookstore)
    remove_second(bookstore)

    more = {t: n - sent.get(t, 0) for t, n in bookstore.towpath.responses().items()}
    assert {t: n for t, n in more.items() if n} == {"eds": 2 * len(bookstore.sidecars)}
    assert {name for name, n in updates(bookstore).items() if n != taken[name]} == {"endpoints"}


async def test_no_connection_is_lost_when_an_endpoint_comes_and_goes(bookstore: Rig) -> None:
    async with steady_calls(bookstore.client, SERVICE) as calls:
        for _ in range(3):
            await asyncio.to_thread(add_second, bookstore)
            await asyncio.to_thread(remove_second, bookstore)

    assert calls.lost == 0, f"of {calls.opened}: {calls.outcomes}"
    assert calls.opened > 0


@pytest.mark.parametrize("protocol", ["tcp", "http"])
async def test_trap_4_a_changed_cluster_does_not_wait_for_its_endpoints(
    bookstore: Rig, protocol: str
) -> None:
    if protocol == "http":
        _change(bookstore, "tcp")
    async with steady_calls(bookstore.client, SERVICE) as calls:
        await asyncio.to_thread(_change, bookstore, protocol)

    if protocol == "tcp":
        await asyncio.to_thread(_change, bookstore, "http")
    assert calls.lost == 0, f"of {calls.opened}: {calls.outcomes}"
    assert answers(bookstore) == {"bookstore-0"}


def _change(rig: Rig, protocol: str) -> None:
    """Have the service speak another protocol, and wait until its cluster does, without warming."""
    before = rig.sidecar.admin.stat("cluster_manager.cluster_modified")
    speak(rig, protocol)
    rig.sidecar.until(
        partial(rig.sidecar.admin.stats, r"cluster_manager\.(cluster_modified|warming_clusters)"),
        equals(
            {
                "cluster_manager.cluster_modified": before + 1,
                "cluster_manager.warming_clusters": 0,
            }
        ),
        what=f"the cluster speaks {protocol}",
        within_s=AT_ONCE_S,
    )


def test_trap_9_a_new_service_is_reached_at_once(bookstore: Rig) -> None:
    bookstore.switch_egress(on=False)
    bookstore.manifests.add_service(
        "bookstore",
        name="catalog",
        address="10.96.0.30",
        port=80,
        target_port=APP_PORT,
        protocol="http",
    )
    reach(bookstore, "10.96.0.30", 200)
    warming = bookstore.sidecar.admin.stat("listener_manager.total_listeners_warming")
    bookstore.manifests.remove_service("catalog")
    reach(bookstore, "10.96.0.30", 0)

    assert warming == 0
    assert answers(bookstore) == {"bookstore-0"}


async def test_trap_9_routes_that_do_not_exist_are_not_said_to_be_gone(bookstore: Rig) -> None:
    wanted = {"rds": (ROUTES, "rds-outbound.nowhere/none|80")}

    updates = await first_updates(bookstore, wanted, pod="curl")

    assert (set(updates["rds"].received), updates["rds"].removed) == ({ROUTES}, frozenset())


def answers(bookstore: Rig) -> set[str]:
    """Who answers twenty calls."""
    calls = (curl(bookstore.client, f"http://{SERVICE[0]}/") for _ in range(20))
    return {call.body.strip() for call in calls}


def add_second(bookstore: Rig) -> None:
    """Add the second pod as an endpoint; return when every sidecar balances over it."""
    second = POD_ADDRESSES["bookstore-1"]
    bookstore.manifests.add_endpoint("bookstore", name="second", address=second)
    _balanced(bookstore, [FIRST, SECOND])


def remove_second(bookstore: Rig) -> None:
    """Undo `add_second`; return when no sidecar balances over it any more."""
    bookstore.manifests.remove_endpoint("second")
    _balanced(bookstore, [FIRST])


def speak(bookstore: Rig, protocol: str) -> None:
    """Let the service's port speak *protocol*."""
    [port] = bookstore.manifests.find("Service", "bookstore")["spec"]["ports"]
    change = {"spec": {"ports": [{**port, "appProtocol": protocol}]}}
    bookstore.manifests.patch("Service", "bookstore", change)


def updates(bookstore: Rig) -> dict[str, int]:
    """How many updates the client's Envoy has taken: listeners, clusters, routes, endpoints."""
    admin = bookstore.sidecar.admin
    [routes] = admin.stats(r"\.rds\..*bookstore.*\.update_success").values()
    return {
        "listeners": admin.stat("listener_manager.lds.update_success"),
        "clusters": admin.stat("cluster_manager.cds.update_success"),
        "routes": routes,
        "endpoints": admin.stat(f"cluster.{CLUSTER}.update_success"),
    }


def reach(bookstore: Rig, address: str, status: int) -> None:
    """Return when a call to *address* ends with that HTTP status (0: without one)."""
    bookstore.sidecar.until(
        lambda: curl(bookstore.client, f"http://{address}/").status,
        equals(status),
        what=f"{address} answers with {status}",
        within_s=AT_ONCE_S,
    )


def _balanced(bookstore: Rig, hosts: list[str]) -> None:
    for name, sidecar in bookstore.sidecars.items():
        sidecar.until(
            partial(sidecar.admin.hosts, CLUSTER),
            equals(hosts),
            what=f"{name} balances over {hosts}",
        )


async def test_no_connection_is_lost_when_another_service_leads_to_the_same_port(
    bookstore: Rig,
) -> None:
    """Its name comes before that of the first."""
    add_second(bookstore)
    earlier = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "another", "namespace": "bookstore"},
        "spec": {
            "clusterIP": "10.96.0.78",
            "selector": {"app": "bookstore"},
            "ports": [{"name": "http", "port": 81, "targetPort": APP_PORT}],
        },
    }
    async with steady_calls(bookstore.client, SERVICE) as calls:
        for _ in range(3):
            bookstore.manifests.write("another.yaml", earlier)
            await asyncio.to_thread(until_led_to, bookstore, "another", there=True)
            bookstore.manifests.remove("another.yaml")
            await asyncio.to_thread(until_led_to, bookstore, "another", there=False)
    remove_second(bookstore)

    assert calls.lost == 0, f"of {calls.opened}: {calls.outcomes}"
    assert calls.opened > 0


def until_led_to(rig: Rig, service: str, *, there: bool) -> None:
    """Return when every sidecar knows that service, or none does."""
    for name, sidecar in rig.sidecars.items():
        sidecar.until(
            sidecar.admin.clusters,
            lambda clusters: there == (f"bookstore/{service}|81" in clusters),
            what=f"{name} has the cluster of {service}: {there}",
        )
