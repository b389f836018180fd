"""The bookstore, as Open Service Mesh's demo has it, played on a real Envoy in each pod: who buys,
who steals before and after, how a split divides, who restocks, who reads the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.dataplane.clients import curl, greeting
from support.dataplane.hosts import BANNER, BOOKS_PORT, MYSQL_PORT, Hosts
from support.dataplane.mesh import Document, Manifests
from support.dataplane.network import Network, open_network
from support.dataplane.rig import Rig, open_rig
from support.dataplane.wait import equals
from towpath.encode.envoy.bootstrap import Transport

pytestmark = pytest.mark.dataplane

DEMO = Path(__file__).parents[1] / "conformance/osm/demos/bookstore.yaml"
PODS = {
    "bookbuyer": "10.10.0.2",
    "bookthief": "10.10.0.3",
    "bookstore-v1": "10.10.0.4",
    "bookstore-v2": "10.10.0.5",
    "bookwarehouse": "10.10.0.6",
    "mysql": "10.10.0.7",
}
SERVICES = {
    "bookstore": "10.96.0.11",
    "bookstore-v1": "10.96.0.12",
    "bookstore-v2": "10.96.0.13",
    "bookwarehouse": "10.96.0.14",
}
BOUGHT = "/books-bought"
AS_BUYER = ("--header", "user-agent: Go-http-client/1.1", "--header", "client-app: bookbuyer")
BUY = "/buy-a-book/new"


@pytest.fixture(scope="module")
def transport() -> Transport:
    """One is enough: who may do what does not go by it."""
    return Transport.DELTA


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with open_network(PODS) as network:
        yield network


@pytest.fixture(scope="module")
def hosts(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with Hosts(tmp_path_factory.mktemp("hosts")) as hosts:
        hosts.serve(network)
        yield hosts


@pytest.fixture(scope="module")
def store(
    network: Network, hosts: Hosts, transport: Transport, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """What a cluster makes of the demo: pods and their addresses, those of Services, endpoints."""
    folder = tmp_path_factory.mktemp("bookstore")
    (source := folder / "source").mkdir()
    manifests = Manifests(source, folder / "manifests")
    documents = [one for one in yaml.safe_load_all(DEMO.read_text()) if one]
    manifests.write("demo.yaml", _mesh_config(), *documents)
    for one in documents:
        if one["kind"] == "Service" and one["metadata"]["name"] in SERVICES:
            address = SERVICES[one["metadata"]["name"]]
            manifests.patch("Service", one["metadata"]["name"], {"spec": {"clusterIP": address}})
    pods = [_pod(one) for one in documents if "template" in one.get("spec", {})]
    slices = [_slice(one, pods) for one in documents if one["kind"] == "Service"]
    manifests.write("cluster.yaml", *pods, *slices)
    with open_rig(network, hosts, manifests, transport=transport, folder=folder) as rig:
        yield rig


def test_the_bookstore_sells_and_the_thief_steals_as_long_as_a_target_lets_him(store: Rig) -> None:
    until(store, "bookbuyer", "bookstore-v2", BUY, 200)
    until(store, "bookthief", "bookstore-v1", BUY, 200)
    bought = [ask(store, "bookbuyer", "bookstore", BOUGHT, *AS_BUYER) for _ in range(60)]
    stolen = [ask(store, "bookthief", "bookstore", BUY).status for _ in range(60)]
    other = ask(store, "bookbuyer", "bookstore", "/inventory").status
    as_another = ask(store, "bookbuyer", "bookstore", BOUGHT).status

    target = store.manifests.find("TrafficTarget", "bookstore")
    honest = [one for one in target["spec"]["sources"] if one["name"] != "bookthief"]
    store.manifests.patch("TrafficTarget", "bookstore", {"spec": {"sources": honest}})
    thief = store.sidecars["bookthief"]
    thief.until(lambda: reached(store, "bookthief", "bookstore-v1"), equals(7), what="exit 7")
    still = {ask(store, "bookbuyer", "bookstore", BUY).status for _ in range(20)}

    assert {200} == {one.status for one in bought}
    served = [one.body.strip() for one in bought]
    assert {"bookstore-v1", "bookstore-v2"} == set(served)
    assert 10 < served.count("bookstore-v1") < 50
    # Of what the split sends to v2 none is granted to him, and it is not given to v1.
    assert {200, 403} == set(stolen)
    assert 10 < stolen.count(403) < 50
    assert (403, 403) == (other, as_another)
    assert {200} == still


def test_the_warehouse_is_restocked_by_the_stores_and_alone_reads_the_database(store: Rig) -> None:
    until(store, "bookstore-v1", "bookwarehouse", "/", 200, "--request", "POST")
    until(store, "bookstore-v2", "bookwarehouse", "/", 200, "--request", "POST")
    read = ask(store, "bookstore-v1", "bookwarehouse", "/").status
    database = (PODS["mysql"], MYSQL_PORT)
    store.sidecars["bookwarehouse"].until(
        lambda: greeting(store.network.pods["bookwarehouse"], database),
        equals(BANNER),
        what="the database greets the warehouse",
    )

    assert 403 == read
    assert b"" == greeting(store.network.pods["bookstore-v1"], database)
    assert b"" == greeting(store.network.control, database)
    assert 200 != ask(store, "bookbuyer", "bookwarehouse", "/", "--request", "POST").status
    assert b"" == greeting(store.network.pods["bookwarehouse"], (PODS["bookstore-v1"], BOOKS_PORT))


def ask(rig: Rig, who: str, service: str, path: str, *options: str) -> Any:
    """A call of the service, through the sidecar of who calls."""
    url = f"http://{SERVICES[service]}:{BOOKS_PORT}{path}"
    return curl(rig.network.pods[who], url, *options)


def reached(rig: Rig, who: str, service: str) -> int:
    """With what curl ends."""
    return int(ask(rig, who, service, BUY).exit_code)


def until(rig: Rig, who: str, service: str, path: str, status: int, *options: str) -> None:
    rig.sidecars[who].until(
        lambda: ask(rig, who, service, path, *options).status,
        equals(status),
        what=f"{service} answers {who} with {status}",
    )


def _mesh_config() -> Document:
    return {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
        "spec": {"traffic": {"enablePermissiveTrafficPolicyMode": False, "enableEgress": False}},
    }


def _pod(workload: Document) -> Document:
    """The one pod of a Deployment or StatefulSet."""
    name, template = workload["metadata"]["name"], workload["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": workload["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
        },
        "spec": template["spec"],
        "status": {"phase": "Running", "podIP": PODS[name]},
    }


def _slice(service: Document, pods: list[Document]) -> Document:
    """The endpoints of a Service: the pods that it selects."""
    namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
    wanted = service["spec"]["selector"].items()
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-1",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [pod["status"]["podIP"]], "conditions": {"ready": True}}
            for pod in pods
            if pod["metadata"]["namespace"] == namespace
            and wanted <= pod["metadata"]["labels"].items()
        ],
        "ports": [
            {"name": port["name"], "port": port.get("targetPort", port["port"]), "protocol": "TCP"}
            for port in service["spec"]["ports"]
        ],
    }
