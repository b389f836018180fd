"""The manual's pages, with kubectl on a real API server and a real Envoy in the pod's place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from support.dataplane import wait
from support.dataplane.bootstrap import Transport, bootstrap
from support.dataplane.clients import Curl, curl
from support.dataplane.envoy import Envoy
from support.dataplane.hosts import Hosts
from support.dataplane.mesh import CURL_ALONE
from support.dataplane.network import Network
from support.dataplane.policy import REFUSED, egress, route_group
from support.kube.cluster import Cluster

pytestmark = [pytest.mark.kube, pytest.mark.dataplane, pytest.mark.timeout(900)]

URL = "http://httpbin.org:80/get"


@dataclass(frozen=True)
class Page:
    """What the pages' commands are typed at."""

    cluster: Cluster
    network: Network
    envoy: Envoy

    def patch(self, change: str) -> None:
        done = self.cluster.kubectl(
            *("patch", "meshconfig", "osm-mesh-config", "-n", "osm-system"),
            *("-p", change, "--type=merge"),
        )
        assert done.exit_code == 0, done.error

    def call(self, url: str, *, exits: int = 0, status: int = 0) -> Curl:
        """`kubectl exec curl -- curl -I URL`, until it ends as the page has it."""
        return wait.until(
            lambda: curl(self.network.pods["curl"], url, "--head"),
            lambda seen: (seen.exit_code, seen.status) == (exits, status),
            what=f"curl {url} exits with {exits} and HTTP status {status}",
            context=self.envoy.process.tail,
        )


@pytest.fixture(scope="module")
def page(
    cluster: Cluster,
    network: Network,
    hosts: Hosts,  # noqa: ARG001 - they answer outside
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    for one in (folder, *folder.parents[:2]):
        one.chmod(0o755)  # the sidecar's user must reach the socket
    documents = [
        document
        for path in sorted(CURL_ALONE.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    documents.sort(key=lambda document: document["kind"] != "Namespace")
    for document in documents:
        if document["kind"] == "Pod":
            document["spec"].setdefault("containers", [{"name": "curl", "image": "curl"}])
        applied = cluster.apply(document)
        assert applied.exit_code == 0, applied.error
    cluster.kubectl("delete", "egress,httproutegroup", "--all", "-n", "curl")
    with ExitStack() as stack:
        socket = folder / "ads.sock"
        stack.enter_context(Server(cluster, socket, folder))
        wait.until(socket.exists, bool, what="towpath listens")
        socket.chmod(0o777)
        config = bootstrap("curl.curl", server=socket, transport=Transport.DELTA)
        envoy = stack.enter_context(Envoy(network.pods["curl"], config, folder=folder))
        envoy.wait_ready()
        yield Page(cluster, network, envoy)


class Server:
    """`towpath serve` on the cluster, with the identity of an administrator."""

    def __init__(self, cluster: Cluster, socket: Path, folder: Path) -> None:
        serve = ["serve", "--kubeconfig", str(cluster.kubeconfig())]
        where = ["--ads-address", f"unix:{socket}", "--http-address", "127.0.0.1:0"]
        self._command = [sys.executable, "-m", "towpath", *serve, *where]
        self._log = folder / "towpath.log"

    def __enter__(self) -> None:
        with self._log.open("wb") as log:
            command = ["setpriv", "--pdeathsig", "KILL", "--", *self._command]
            self._child = subprocess.Popen(command, stdout=log, stderr=log)

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        assert self._child.wait(10) == 0, self._log.read_text()


def test_p1_to_p5_the_switch(page: Page) -> None:
    page.patch('{"spec":{"traffic":{"enableEgress":true}}}')
    page.call(URL, status=200)
    page.patch('{"spec":{"traffic":{"enableEgress":false}}}')
    page.call(URL, exits=REFUSED)


def test_e0_to_e4_and_e13_to_e18_policies(page: Page) -> None:
    page.patch('{"spec":{"featureFlags":{"enableEgressPolicy":true}}}')
    page.call(URL, exits=REFUSED)
    policy = egress("httpbin-80", (80, "http"), hosts=["httpbin.org"])
    assert page.cluster.apply(policy).exit_code == 0
    page.call(URL, status=200)
    assert page.cluster.kubectl("delete", "egress", "httpbin-80", "-n", "curl").exit_code == 0
    page.call(URL, exits=REFUSED)

    group = "egress-http-route"
    routed = egress("httpbin-80", (80, "http"), hosts=["httpbin.org"], groups=[group])
    assert page.cluster.apply(routed, route_group(group, "/get")).exit_code == 0
    page.call(URL, status=200)
    page.call("http://httpbin.org:80/status/200", status=404)
    assert page.cluster.apply(route_group(group, "/get", "/status.*")).exit_code == 0
    page.call("http://httpbin.org:80/status/200", status=200)


def test_the_page_goes_on_while_the_api_server_is_away(page: Page) -> None:
    page.call(URL, status=200)
    page.cluster.kill()
    try:
        page.call(URL, status=200)
    finally:
        page.cluster.start()
    page.cluster.kubectl("delete", "egress", "--all", "-n", "curl")
    page.call(URL, exits=REFUSED)
