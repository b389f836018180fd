"""`docs/install.md`, command by command, on an API server that nothing was ever applied to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from support.dataplane import wait
from support.dataplane.clients import curl
from support.dataplane.hosts import Hosts
from support.dataplane.mesh import CURL_ALONE
from support.dataplane.network import Network
from support.deploy import DEPLOY
from support.kube.cluster import Cluster, kubectl_binary
from support.kube.deployed import DeployedPod, example_sidecar, with_own_sidecar
from support.kube.passage import passage

pytestmark = [pytest.mark.kube, pytest.mark.dataplane]

ROOT = DEPLOY.parent
CONFIG = ("get", "meshconfig", "osm-mesh-config", "-n", "osm-system")
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:.*<<'EOF'\n(?:.*\n)*?EOF|.+)$", re.MULTILINE)
EXPECTED = re.compile(r"# (?:exits with (?P<exits>\d+)|HTTP (?P<status>\d+))$")


def commands() -> list[str]:
    """Each command of the page's `bash` blocks; a here-document belongs to its command."""
    blocks = BLOCK.findall((ROOT / "docs" / "install.md").read_text())
    return [command for block in blocks for command in COMMAND.findall(block)]


class Reader:
    """Types what the page says; plays the kubelet where a command waits for one."""

    def __init__(self, cluster: Cluster, network: Network, folder: Path, stack: ExitStack) -> None:
        self._cluster = cluster
        self._network = network
        self._folder = folder
        self._stack = stack
        programs = f"{Path(sys.executable).parent}:{kubectl_binary().parent}"
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(cluster.kubeconfig()),
            "PATH": f"{programs}:{os.environ['PATH']}",
        }

    def type(self, command: str) -> None:
        if command.startswith("kubectl rollout status deployment/towpath"):
            self._run_control_plane()
        elif command.startswith("kubectl rollout status deployment/curl"):
            self._run_client()
        if command.startswith("kubectl exec"):
            self._call(command)
            return
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            check=False,
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def _run_control_plane(self) -> None:
        server = DeployedPod(self._cluster, self._network.control, self._folder)
        self._stack.callback(server.process.stop)
        server.start()
        wait.until(
            lambda: self._cluster.kubectl(*CONFIG).exit_code,
            lambda code: code == 0,
            what="the first replica creates the MeshConfig",
            within_s=60,
            context=server.process.tail,
        )
        self._rolled_out("towpath", "osm-system")

    def _run_client(self) -> None:
        for document in yaml.safe_load_all((CURL_ALONE / "curl.yaml").read_text()):
            if document["kind"] == "Pod":
                assert self._cluster.apply(with_own_sidecar(document)).exit_code == 0
                status = yaml.safe_dump({"status": document["status"]})
                patch = ("--subresource=status", "--type=merge", "-p", status)
                done = self._cluster.kubectl("patch", "pod", "curl", "-n", "curl", *patch)
                assert done.exit_code == 0, done.error
        envoy = example_sidecar(self._cluster, self._network.pods["curl"], self._folder)
        self._stack.enter_context(envoy).wait_ready()
        self._rolled_out("curl", "curl")

    def _rolled_out(self, name: str, namespace: str) -> None:
        where = ("deployment", name, "-n", namespace)
        held = self._cluster.kubectl("get", *where, "-o", "json").json()
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        status = {
            "observedGeneration": held["metadata"]["generation"],
            **dict.fromkeys(counts, held["spec"]["replicas"]),
        }
        patch = ("--subresource=status", "--type=merge", "-p", yaml.safe_dump({"status": status}))
        done = self._cluster.kubectl("patch", *where, *patch)
        assert done.exit_code == 0, done.error

    def _call(self, command: str) -> None:
        typed = re.search(r"-- curl -sI (\S+)", command)
        expected = EXPECTED.search(command)
        assert typed is not None, command
        assert expected is not None, command
        wanted = int(expected["exits"] or 0), int(expected["status"] or 0)
        wait.until(
            lambda: curl(self._network.pods["curl"], typed[1], "--head"),
            lambda seen: (seen.exit_code, seen.status) == wanted,
            what=f"{command} (exit code and status {wanted})",
        )


def test_who_follows_the_page_reaches_the_first_enforced_policy(
    bare: Cluster,
    network: Network,
    hosts: Hosts,  # noqa: ARG001 - they answer outside
) -> None:
    typed = commands()
    with ExitStack() as stack:
        stack.enter_context(passage(network.control, bare.port))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="towpath-page-")))
        folder.chmod(0o755)  # the sidecar's user must reach its files
        reader = Reader(bare, network, folder, stack)
        for command in typed:
            reader.type(command)

    assert sum(command.startswith("kubectl exec") for command in typed) == 3
