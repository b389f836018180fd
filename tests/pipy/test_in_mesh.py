"""Who may call whom where real Pipy sidecars decide: by the address of a connection alone."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack

import pytest

from pipy.conftest import Serve, Shop
from support.dataplane.clients import curl, curl_until
from support.dataplane.hosts import ECHO_PORT
from support.dataplane.mesh import WITH_A_SERVICE
from support.dataplane.network import POD_ADDRESSES
from support.dataplane.policy import CUT
from support.dataplane.targets import group, target
from support.dataplane.wait import equals, until
from support.pipy.shop import (
    DIRECT,
    DIRECT_RAW,
    RAW,
    SERVER,
    THIEF,
    URL,
    echo,
    probe,
    tcp_route,
)

pytestmark = pytest.mark.pipy


def test_whom_a_target_names_comes_in_and_nobody_else(shop: Shop) -> None:
    shop.manifests.apply(target("buyers", "curl", "all"), group("all", ".*"))
    assert f"{SERVER}\n" == curl_until(shop.client.pod, URL, status=200).body

    assert curl(shop.thief, DIRECT).exit_code in CUT
    assert curl(shop.node, DIRECT).exit_code in CUT
    forged = ("--header", "serviceidentity: curl.curl", "--header", "x-forwarded-for: 10.10.0.2")
    assert curl(shop.thief, DIRECT, *forged).exit_code in CUT
    assert b"" == echo(shop.client.pod, RAW)
    assert b"" == echo(shop.thief, DIRECT_RAW)


def test_bytes_come_in_from_whom_a_target_with_their_port_names(shop: Shop) -> None:
    route = tcp_route("raw", ECHO_PORT)
    shop.manifests.apply(target("buyers", "curl", "raw", kind="TCPRoute"), route)
    until(lambda: echo(shop.client.pod, RAW), equals(b"hi"), what="it comes back")

    assert b"" == echo(shop.thief, DIRECT_RAW)
    assert b"" == echo(shop.node, DIRECT_RAW)
    assert curl(shop.client.pod, URL).status in (0, 403)


def test_an_address_that_passes_to_another_account_grants_that_one_nothing(shop: Shop) -> None:
    shop.manifests.apply(target("t", "thief", "all"), group("all", ".*"))
    curl_until(shop.thief, DIRECT, status=200)
    shop.manifests.patch("Pod", THIEF, {"spec": {"serviceAccountName": "heir"}})
    curl_until(shop.thief, DIRECT, exits=(7, *CUT))


def test_who_may_ask_for_some_requests_only_is_let_in_for_none(shop: Shop) -> None:
    shop.manifests.apply(
        target("buyers", "curl", "all"),
        group("all", ".*"),
        target("readers", "thief", "read"),
        group("read", "/books", ["GET"]),
    )
    curl_until(shop.client.pod, URL, status=200)

    assert curl(shop.thief, f"{DIRECT}books").exit_code in CUT


def test_without_a_target_nobody_comes_in_but_the_kubelets_probes(shop: Shop) -> None:
    probe(shop.manifests, "/health")
    curl_until(shop.node, f"{DIRECT}health", status=200)

    others = ("health/", "healthz", "health/../x", "", "x?/health")
    for place in (shop.node, shop.thief):
        answers = {path: curl(place, DIRECT + path, "--path-as-is").status for path in others}
        assert dict.fromkeys(others, 403) == answers
        assert 403 == curl(place, f"{DIRECT}health", "--request", "POST").status
        assert b"" == echo(place, DIRECT_RAW)
    # Nor does what a target grants on that port, which is a Problem.
    shop.manifests.apply(
        target("buyers", "curl", "all"),
        target("raw", "thief", "raw", kind="TCPRoute"),
        group("all", ".*"),
        tcp_route("raw", ECHO_PORT),
    )
    until(lambda: echo(shop.thief, DIRECT_RAW), equals(b"hi"), what="bytes come in")
    curl_until(shop.client.pod, URL, status=403)
    assert 200 == curl(shop.node, f"{DIRECT}health").status


def test_permissive_mode_switched_off_closes_and_switched_on_opens(shop: Shop) -> None:
    def switch(*, on: bool) -> None:
        traffic = {"enablePermissiveTrafficPolicyMode": on}
        shop.manifests.patch("MeshConfig", "osm-mesh-config", {"spec": {"traffic": traffic}})

    for _ in range(3):
        switch(on=True)
        curl_until(shop.client.pod, URL, status=200)
        curl_until(shop.thief, DIRECT, status=200)
        assert b"hi" == echo(shop.thief, DIRECT_RAW)
        switch(on=False)
        curl_until(shop.thief, DIRECT, exits=(7, *CUT))
        curl_until(shop.client.pod, URL, exits=(7, *CUT))
        assert b"" == echo(shop.thief, DIRECT_RAW)


@pytest.mark.parametrize("weights", [(1, 1), (9, 1), (0, 1)])
def test_a_split_divides_by_its_weights(
    serve: Serve, stack: ExitStack, weights: tuple[int, int]
) -> None:
    manifests, pod = serve(WITH_A_SERVICE)
    manifests.add_pod(SERVER, name=THIEF, address=POD_ADDRESSES[THIEF])
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "appProtocol": "http"}]
    backends = dict(zip(("v1", "v2"), (SERVER, THIEF), strict=True))
    for number, (name, server) in enumerate(backends.items()):
        slice_ = manifests.all("EndpointSlice")[0]
        labels = {"kubernetes.io/service-name": name}
        slice_["metadata"] = {"name": name, "namespace": "bookstore", "labels": labels}
        ready = {"addresses": [POD_ADDRESSES[server]], "conditions": {"ready": True}}
        slice_["endpoints"] = [ready]
        service = manifests.find("Service", "bookstore")
        service["metadata"]["name"] = name
        service["spec"] |= {"clusterIP": f"10.96.0.4{number}", "ports": ports}
        service["spec"].pop("clusterIPs")
        manifests.write(f"{name}.yaml", service, slice_)
    shares = [
        {"service": name, "weight": weight} for name, weight in zip(backends, weights, strict=True)
    ]
    manifests.apply(
        {
            "apiVersion": "split.smi-spec.io/v1alpha4",
            "kind": "TrafficSplit",
            "metadata": {"name": "tried", "namespace": "bookstore"},
            "spec": {"service": "bookstore", "backends": shares},
        }
    )
    pods = [pod("curl", "curl.curl")]
    pods += [
        pod(server, f"{server}.bookstore", http_port=15907 + number)
        for number, server in enumerate(backends.values())
    ]
    for one in pods:
        agent = one.child()
        agent.start()
        stack.callback(agent.stop)
    for server in backends.values():
        curl_until(pods[0].pod, f"http://10.96.0.4{int(server[-1])}/", status=200)

    def answers() -> Counter[str]:
        done = curl(pods[0].pod, f"{URL}?[1-400]", "--header", "connection: close")
        return Counter(re.findall("bookstore-[01]", done.body))

    counts = until(answers, lambda seen: seen.total() == 400, what="all are answered")
    share = 400 * weights[0] / sum(weights)
    assert abs(counts[SERVER] - share) <= 2, counts
