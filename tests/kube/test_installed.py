"""The manual's page on egress, from `osm install` on: what `deploy/` says is what runs. The client
brings its own sidecar, with a certificate.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from support.dataplane import wait
from support.dataplane.clients import curl
from support.dataplane.envoy import Envoy
from support.dataplane.hosts import Hosts
from support.dataplane.mesh import CURL_ALONE
from support.dataplane.network import POD_ADDRESSES, ROUTER, Network
from support.dataplane.policy import REFUSED, egress
from support.deploy import DEPLOY
from support.kube.cluster import Cluster
from support.kube.command import towpath
from support.kube.deployed import (
    PYTHON,
    DeployedPod,
    account_kubeconfig,
    own_sidecar,
    with_own_sidecar,
)
from support.kube.passage import passage
from support.pages import ANYTHING, commands

pytestmark = [pytest.mark.kube, pytest.mark.dataplane]

HTTPS = "https://httpbin.org:443"
HTTP = "http://httpbin.org:80/get"


@dataclass(frozen=True)
class Installed:
    cluster: Cluster
    network: Network
    hosts: Hosts
    envoy: Envoy
    folder: Path

    def patch(self, change: str) -> None:
        """As the manual has it."""
        done = self.cluster.kubectl(
            *("patch", "meshconfig", "osm-mesh-config", "-n", "osm-system"),
            *("-p", change, "--type=merge"),
        )
        assert done.exit_code == 0, done.error

    def call(self, url: str, *, exits: int = 0, status: int = 0) -> None:
        known = ("--cacert", str(self.hosts.ca))
        wait.until(
            lambda: curl(self.network.pods["curl"], url, "--head", *known),
            lambda seen: (seen.exit_code, seen.status) == (exits, status),
            what=f"curl {url} exits with {exits} and HTTP status {status}",
            context=self.envoy.process.tail,
        )


@pytest.fixture(scope="module")
def reachable(bare: Cluster, network: Network) -> Iterator[Cluster]:
    """The API server, reachable from where the control plane runs."""
    with passage(network.control, bare.port):
        yield bare


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the sidecar's user can reach."""
    with tempfile.TemporaryDirectory(prefix="towpath-installed-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(params=["true", "false"])
def installed(
    request: pytest.FixtureRequest,
    reachable: Cluster,
    network: Network,
    hosts: Hosts,
    folder: Path,
) -> Iterator[Installed]:
    """`osm install --set osm.enableEgress=…`, a client in the mesh, both as deployed."""
    cluster = reachable
    cluster.kubectl("create", "namespace", "curl")
    cluster.kubectl("delete", "meshconfig,egress", "--all", "-A")
    for arguments in (
        ("uninstall", "mesh", "-f"),
        ("install", "--set", f"osm.enableEgress={request.param}"),
        ("namespace", "add", "curl"),
        ("certificates", "sidecar", "curl/curl"),
    ):
        done = towpath(cluster, *arguments)
        assert done.exit_code == 0, done.error
    for document in yaml.safe_load_all((CURL_ALONE / "curl.yaml").read_text()):
        assert cluster.apply(with_own_sidecar(document)).exit_code == 0
        if status := document.get("status"):  # what the kubelet would write
            patch = (
                "--subresource=status",
                "--type=merge",
                "-p",
                yaml.safe_dump({"status": status}),
            )
            assert cluster.kubectl("patch", "pod", "curl", "-n", "curl", *patch).exit_code == 0
    with ExitStack() as stack:
        variables = {"TOWPATH_INSPECTOR_IDENTITIES": "spiffe://cluster.local/person/jo"}
        server = DeployedPod(cluster, network.control, folder, variables=variables)
        stack.callback(server.process.stop)
        server.start()
        config = ("get", "meshconfig", "osm-mesh-config", "-n", "osm-system")
        wait.until(
            lambda: cluster.kubectl(*config).exit_code,
            lambda code: code == 0,
            what="the first replica creates the MeshConfig",
            within_s=60,
            context=server.process.tail,
        )
        envoy = stack.enter_context(own_sidecar(cluster, network.pods["curl"], folder))
        envoy.wait_ready()
        yield Installed(cluster, network, hosts, envoy, folder)


def test_the_page_from_install_on(installed: Installed, request: pytest.FixtureRequest) -> None:
    opened = "[true]" in request.node.name
    probed = f"http://{POD_ADDRESSES['curl']}:15010/stats/prometheus"
    assert "envoy_" in installed.network.control.run("curl", "-s", probed).stdout
    installed.call(HTTPS, **({"status": 200} if opened else {"exits": REFUSED}))
    installed.patch('{"spec":{"traffic":{"enableEgress":true}}}')
    installed.call(HTTPS, status=200)
    installed.patch('{"spec":{"traffic":{"enableEgress":false}}}')
    installed.call(HTTPS, exits=REFUSED)
    installed.patch('{"spec":{"featureFlags":{"enableEgressPolicy":true}}}')
    policy = egress("httpbin", (80, "http"), hosts=["httpbin.org"])
    assert installed.cluster.apply(policy).exit_code == 0
    installed.call(HTTP, status=200)
    installed.call(HTTPS, exits=35)
    socket = f"unix:{installed.folder / 'local.sock'}"
    checked = towpath(installed.cluster, "check", "--server", socket)
    assert "1 connected, all up to date" in checked.out
    assert "egress passthrough off, egress policies on" in checked.out
    ask_as_the_page_on_operation_has_it(installed)


def ask_as_the_page_on_operation_has_it(installed: Installed) -> None:
    """Its step with a certificate of one's own, but for what only a kubelet can do."""
    typed = [one for one in commands(DEPLOY.parent / "docs" / "operate.md") if "jo" in one.command]
    issue, identities, enter, *ask = (one for one in typed if ANYTHING not in one.command)
    assert issue.command.startswith("towpath certificates person jo ")
    assert "TOWPATH_INSPECTOR_IDENTITIES=spiffe://cluster.local/person/jo" in identities.command
    assert enter.command.startswith("cd ")
    folder = installed.folder / "jo"
    issued = towpath(installed.cluster, "certificates", "person", "jo", str(folder))
    assert issued.exit_code == 0, issued.error
    assert "spiffe://cluster.local/person/jo" in issued.out
    assert len(ask) == 2
    programs = f"PATH={Path(PYTHON).parent}:{Path(sys.executable).parent}:$PATH"
    for one in ask:
        command = one.command.replace("localhost:15128", f"{ROUTER}:15128")
        line = f"cd {folder} && {programs} {command}"
        done = installed.network.control.run("bash", "-c", line)
        assert done.returncode == one.exit_code, f"{line}\n{done.stdout}{done.stderr}"


def test_replicas_that_start_at_once_have_one_authority(reachable: Cluster, tmp_path: Path) -> None:
    towpath(reachable, "uninstall", "mesh", "-f")
    assert towpath(reachable, "install").exit_code == 0
    account = account_kubeconfig(reachable, tmp_path)

    def start(name: str) -> int:
        command = (PYTHON, "-m", "towpath", "certificates", "server", str(tmp_path / name))
        done = subprocess.run([*command, "--kubeconfig", str(account)], check=False)
        return done.returncode

    with ThreadPoolExecutor(2) as replicas:
        assert [0, 0] == list(replicas.map(start, ("a", "b")))
    authorities = {(tmp_path / name / "ca.crt").read_bytes() for name in ("a", "b")}
    assert len(authorities) == 1
    assert towpath(reachable, "install").exit_code == 0
    assert start("c") == 0
    assert authorities == {(tmp_path / "c" / "ca.crt").read_bytes()}
