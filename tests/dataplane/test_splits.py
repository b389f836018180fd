"""TrafficSplits on a real Envoy: shares, what is left of none, and shifts under load."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from support.dataplane.clients import curl, steady_calls
from support.dataplane.hosts import APP_PORT
from support.dataplane.mesh import WITH_A_SERVICE, Manifests
from support.dataplane.network import POD_ADDRESSES
from support.dataplane.rig import Rig
from support.dataplane.targets import group, switch, target
from support.dataplane.wait import equals

pytestmark = pytest.mark.dataplane

ROOT = "10.96.0.40"
ADDRESSES = {"shop": ROOT, "v1": "10.96.0.41", "v2": "10.96.0.42"}
PODS = {"v1": "bookstore-0", "v2": "bookstore-1"}
CALLS, SOME = 400, 60
SIGMAS = 5
"""Of so many standard deviations: with three, one run of fifty would fail by chance."""

Document = dict[str, Any]


PORTS = {"http": 80, "tcp": 81}


@pytest.fixture(params=list(PORTS.values()), ids=list(PORTS))
def port(request: pytest.FixtureRequest) -> int:
    """The port that is called, once for each thing that it may speak."""
    number: int = request.param
    return number


@pytest.fixture(scope="module")
def shop(open_mesh: Any) -> Rig:
    """A root without pods of its own, and two services with one pod each."""

    def with_services(manifests: Manifests) -> None:
        manifests.add_pod("bookstore-0", name="bookstore-1", address=POD_ADDRESSES["bookstore-1"])
        manifests.patch("Pod", "bookstore-1", {"spec": {"serviceAccountName": "bookstore-v2"}})
        manifests.write("shop.yaml", *services())

    rig: Rig = open_mesh(WITH_A_SERVICE, prepare=with_services)
    return rig


@pytest.mark.parametrize("weights", [(50, 50), (90, 10)])
def test_shares_are_those_of_the_weights(shop: Rig, port: int, weights: tuple[int, int]) -> None:
    divide(shop, v1=weights[0], v2=weights[1])
    counts = answers(shop, port)
    share = weights[0] / sum(weights)
    deviation = (CALLS * share * (1 - share)) ** 0.5

    assert CALLS == sum(counts.values())
    assert abs(counts["bookstore-0"] - CALLS * share) < SIGMAS * deviation, counts


def test_a_weight_of_0_gets_nothing(shop: Rig, port: int) -> None:
    divide(shop, v1=0, v2=7)

    assert {"bookstore-1": CALLS} == answers(shop, port)


def test_without_a_backend_it_is_refused_and_never_goes_to_the_root(shop: Rig, port: int) -> None:
    lead_to(shop, "shop", "bookstore-0")
    shop.manifests.withdraw()
    answered_by(shop, port, "bookstore-0")
    divide(shop, v1=0, gone=1)
    words = "503: no backend of TrafficSplit bookstore/tried can be used"
    outcome = (503, words) if port == PORTS["http"] else (0, "")

    def refused() -> tuple[int, str]:
        answer = curl(shop.client, f"http://{ROOT}:{port}/")
        return answer.status, answer.body.strip()

    shop.sidecar.until(refused, equals(outcome), what=f"no backend gives {outcome}")
    assert outcome == refused()
    lead_to(shop, "shop", None)


def test_backends_stay_reachable_by_their_own_address(shop: Rig, port: int) -> None:
    divide(shop, v1=1, v2=0)
    own = {
        name: curl(shop.client, f"http://{ADDRESSES[name]}:{port}/").body.strip() for name in PODS
    }

    assert PODS == own


def test_a_backend_that_grants_nothing_keeps_its_share_and_refuses_it(shop: Rig) -> None:
    divide(shop, v1=50, v2=50)
    documents = (target("buyers", "curl", "all"), group("all", ".*"))
    shop.manifests.write("target.yaml", *documents)
    switch(shop, permissive=False)
    shop.sidecars["bookstore-1"].until(
        lambda: curl(shop.network.control, f"http://{POD_ADDRESSES['bookstore-1']}:8080/").status,
        equals(403),
        what="the second backend refuses",
    )
    calls = [curl(shop.client, f"http://{ROOT}/") for _ in range(SOME)]
    switch(shop, permissive=True)
    shop.manifests.remove("target.yaml")

    statuses = Counter(call.status for call in calls)
    assert {200, 403} == set(statuses)
    assert abs(statuses[200] - SOME / 2) < SIGMAS * (SOME / 4) ** 0.5, statuses
    assert {"bookstore-0"} == {call.body.strip() for call in calls if call.status == 200}


def test_any_host_will_do(shop: Rig) -> None:
    divide(shop, v1=1, v2=0)
    named = curl(shop.client, f"http://{ROOT}/", "--header", "host: anything.test")

    assert (200, "bookstore-0") == (named.status, named.body.strip())


async def test_nothing_is_lost_while_all_shifts_from_one_to_the_other(shop: Rig, port: int) -> None:
    divide(shop, v1=100, v2=0)
    async with steady_calls(shop.client, (ROOT, port)) as calls:
        for weights in ((50, 50), (0, 100), (100, 0), (0, 100)):
            await asyncio.to_thread(divide, shop, v1=weights[0], v2=weights[1])

    assert 0 == calls.lost, f"of {calls.opened}: {calls.outcomes}"
    assert calls.opened > 0


def test_requests_of_a_group_go_where_its_split_says_and_the_rest_to_the_root(shop: Rig) -> None:
    lead_to(shop, "shop", "bookstore-0")
    group = {
        "apiVersion": "specs.smi-spec.io/v1alpha4",
        "kind": "HTTPRouteGroup",
        "metadata": {"name": "testers", "namespace": "bookstore"},
        "spec": {"matches": [{"name": "a", "headers": [{"x-group": "test.*"}]}]},
    }
    conditional = split({"v2": 1})
    conditional["spec"]["matches"] = [{"kind": "HTTPRouteGroup", "name": "testers"}]
    shop.manifests.apply(group, conditional)
    told = ("--header", "x-group: tester")
    # The split before may have sent all of both groups to the second.
    answered_by(shop, PORTS["http"], "bookstore-0")
    answered_by(shop, PORTS["http"], "bookstore-1", *told)
    testers = {curl(shop.client, f"http://{ROOT}/", *told).body.strip() for _ in range(10)}
    others = {curl(shop.client, f"http://{ROOT}/").body.strip() for _ in range(10)}
    lead_to(shop, "shop", None)

    assert ({"bookstore-1"}, {"bookstore-0"}) == (testers, others)


@pytest.mark.parametrize("others", [{"gone": 1, "short": 1, "v2": -1}, {"v2": 0.5}])
def test_what_cannot_be_a_backend_has_no_share(shop: Rig, others: dict[str, float]) -> None:
    """It does not exist, has not that port, or its weight is none."""
    short = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "short", "namespace": "bookstore"},
        "spec": {"clusterIP": "10.96.0.43", "ports": [{"port": 7, "appProtocol": "http"}]},
    }
    divide(shop, v1=1, v2=1)
    shop.manifests.apply(split({"v1": 1, **others}), short)
    divided(shop, {"v1": 1})

    assert {"bookstore-0"} == {*answers(shop, PORTS["http"]), *answers(shop, PORTS["tcp"])}


def test_the_root_as_a_backend_is_its_own_and_a_backends_split_is_not_followed(
    shop: Rig, port: int
) -> None:
    lead_to(shop, "shop", "bookstore-0")
    second = split({"v1": 1})
    second["metadata"]["name"], second["spec"]["service"] = "second", "v2"
    shop.manifests.apply(split({"shop": 1, "v2": 1}), second)
    divided(shop, {"shop": 1, "v2": 1})
    to_root = answers(shop, port)
    shop.sidecar.until(
        lambda: "bookstore-0" in curl(shop.client, f"http://{ADDRESSES['v2']}:{port}/").body,
        equals(expected=True),
        what="the second split divides what is sent to v2 itself",
    )
    lead_to(shop, "shop", None)

    # Were the split of v2 followed, all would come to the first pod.
    assert {"bookstore-0", "bookstore-1"} == {*to_root}


def test_a_root_without_a_selector_is_divided_like_one_that_selects_the_pods(shop: Rig) -> None:
    selector = {"app": "bookstore"}
    divide(shop, v1=1, v2=1)
    shop.manifests.patch("Service", "shop", {"spec": {"selector": None}})
    divide(shop, v1=0, v2=1)
    counts = answers(shop, PORTS["http"])
    shop.manifests.patch("Service", "shop", {"spec": {"selector": selector}})

    assert {"bookstore-1": CALLS} == counts


def test_of_two_splits_the_oldest_holds_whatever_their_names(shop: Rig) -> None:
    old, new = split({"v1": 1}), split({"v2": 1})
    old["metadata"] |= {"name": "z", "creationTimestamp": "2024-01-01T00:00:00Z"}
    new["metadata"] |= {"name": "a", "creationTimestamp": "2025-01-01T00:00:00Z"}
    divide(shop, v1=1, v2=1)
    shop.manifests.apply(new, old)
    divided(shop, {"v1": 1})

    assert {"bookstore-0": CALLS} == answers(shop, PORTS["http"])


def test_a_group_of_that_name_in_another_namespace_does_not_divide(shop: Rig) -> None:
    lead_to(shop, "shop", "bookstore-0")
    elsewhere = group("testers", ".*")
    elsewhere["metadata"]["namespace"] = "curl"
    conditional = split({"v2": 1})
    conditional["spec"]["matches"] = [{"kind": "HTTPRouteGroup", "name": "testers"}]
    divide(shop, v1=0, v2=1)
    shop.manifests.apply(elsewhere, conditional)
    answered_by(shop, PORTS["http"], "bookstore-0")
    counts = answers(shop, PORTS["http"])
    lead_to(shop, "shop", None)

    assert {"bookstore-0": CALLS} == counts


def services() -> list[Document]:
    """The three services; the root has a slice, and nothing in it."""
    ports = [
        {"name": kind, "port": number, "targetPort": APP_PORT, "appProtocol": kind}
        for kind, number in PORTS.items()
    ]
    documents = []
    for name, address in ADDRESSES.items():
        # The pods are selected, so that they let in what leads to the port.
        spec = {"clusterIP": address, "selector": {"app": "bookstore"}, "ports": ports}
        metadata = {"name": name, "namespace": "bookstore"}
        documents.append(
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
        )
        documents.append(slice_of(name, PODS.get(name)))
    return documents


def slice_of(service: str, pod: str | None) -> Document:
    ready = {"ready": True}
    endpoints = [{"addresses": [POD_ADDRESSES[pod]], "conditions": ready}] if pod else []
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": service,
            "namespace": "bookstore",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": kind, "port": APP_PORT, "protocol": "TCP"} for kind in PORTS],
    }


def lead_to(rig: Rig, service: str, pod: str | None) -> None:
    """Let the service itself lead to that pod, or to none."""
    endpoints = {"endpoints": slice_of(service, pod)["endpoints"]}
    rig.manifests.patch("EndpointSlice", service, endpoints)


def split(weights: Mapping[str, float]) -> Document:
    backends = [{"service": name, "weight": weight} for name, weight in weights.items()]
    return {
        "apiVersion": "split.smi-spec.io/v1alpha2",
        "kind": "TrafficSplit",
        "metadata": {"name": "tried", "namespace": "bookstore"},
        "spec": {"service": "shop.bookstore", "backends": backends},
    }


def divide(rig: Rig, **weights: int) -> None:
    """Apply a split of these weights; return when the client's sidecar divides by it."""
    rig.manifests.apply(split(weights))
    shares = {name: weight for name, weight in weights.items() if weight and name in PODS}
    if len(shares) == 1:
        shares = dict.fromkeys(shares, 1)
    divided(rig, shares)


def divided(rig: Rig, shares: Mapping[str, int]) -> None:
    """Wait until the client's sidecar divides so."""
    wanted = [
        {f"bookstore/{name}|{port}": weight for name, weight in shares.items()}
        for port in PORTS.values()
    ]
    rig.sidecar.until(
        lambda: [_of_requests(rig), _of_bytes(rig)],
        equals(wanted),
        what=f"the root is divided into {shares}",
    )


def _of_requests(rig: Rig) -> dict[str, int]:
    """The clusters that share the root's requests in the client's Envoy, by weight."""
    configuration = rig.sidecar.admin.routes()["rds-outbound.bookstore/shop|80"]
    [host] = configuration["route_config"]["virtual_hosts"]
    return _shares((host.get("routes") or [{}])[-1].get("route", {}))


def _of_bytes(rig: Rig) -> dict[str, int]:
    """The same of its connections."""
    listener = rig.sidecar.admin.listeners()["outbound-listener"]["listener"]
    name = "outbound-mesh.bookstore/shop|81"
    [chain] = [one for one in listener["filter_chains"] if one["name"] == name]
    return _shares(chain["filters"][0]["typed_config"] if chain.get("filters") else {})


def _shares(action: Mapping[str, Any]) -> dict[str, int]:
    if "cluster" in action:
        return {action["cluster"]: 1}
    clusters = action.get("weighted_clusters", {}).get("clusters", [])
    return {one["name"]: one["weight"] for one in clusters}


def answers(rig: Rig, port: int) -> Counter[str]:
    """Who answers so many calls, each on a connection of its own."""
    done = curl(rig.client, f"http://{ROOT}:{port}/?[1-{CALLS}]", "--header", "connection: close")
    return Counter(re.findall("bookstore-[01]", done.body))


def answered_by(rig: Rig, port: int, pod: str, *options: str) -> None:
    rig.sidecar.until(
        lambda: pod in curl(rig.client, f"http://{ROOT}:{port}/", *options).body,
        equals(expected=True),
        what=f"answered by {pod}",
    )
