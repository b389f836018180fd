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
from support.dataplane.envoy import binary
from support.dataplane.hosts import Hosts
from support.dataplane.iptables import without_redirect
from support.dataplane.network import POD_ADDRESSES, Network
from support.deploy import DEPLOY
from support.kube.cluster import Cluster, kubectl_binary
from support.kube.deployed import DeployedPod
from support.kube.injecting import WEBHOOK
from support.kube.kubelet import Kubelet
from support.kube.passage import passage
from support.kube.routed import FLAGS, endpoints, way_in

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

    def __init__(
        self, cluster: Cluster, network: Network, address: str, folder: Path, stack: ExitStack
    ) -> None:
        """*address* is where the API server reaches the control plane."""
        self._cluster = cluster
        self._network = network
        self._address = address
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
        endpoints(self._cluster, self._address)
        wait.until(
            lambda: self._cluster.kubectl("get", *WEBHOOK, "-o", "json").out,
            lambda webhook: "caBundle" in webhook,
            what="the first replica says whom to trust as the webhook",
            within_s=60,
            context=server.process.tail,
        )
        self._rolled_out("towpath", "osm-system")

    def _run_client(self) -> None:
        """A controller makes the pod, which is injected, and a kubelet runs it as it is stored."""
        deployment = self._cluster.kubectl("get", "deployment", "curl", "-n", "curl", "-o", "json")
        template = deployment.json()["spec"]["template"]
        metadata = {**template["metadata"], "name": "curl", "namespace": "curl"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        created = self._cluster.kubectl("create", "-f", "-", stdin=yaml.safe_dump(pod))
        assert created.exit_code == 0, created.error
        kubelet = Kubelet(
            self._cluster,
            node=self._network.control,
            pod=self._network.pods["curl"],
            address=POD_ADDRESSES["curl"],
            folder=self._folder,
            programs={"envoyproxy/envoy": str(binary())},
        )
        self._stack.callback(kubelet.stop)
        kubelet.run("curl", "curl")
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
    tmp_path: Path,
    network: Network,
    hosts: Hosts,  # noqa: ARG001 - they answer outside
) -> None:
    typed = commands()
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(tmp_path, flags=FLAGS))
        stack.enter_context(passage(network.control, cluster.port))
        address = stack.enter_context(way_in(network.control))
        stack.enter_context(without_redirect(network.pods["curl"]))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="towpath-page-")))
        folder.chmod(0o755)  # the sidecar's user must reach its files
        reader = Reader(cluster, network, address, folder, stack)
        for command in typed:
            reader.type(command)

    assert sum(command.startswith("kubectl exec") for command in typed) == 5
