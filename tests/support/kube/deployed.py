"""The pods of `deploy/` run as processes: with their own commands, variables and identity.

There is no kubelet here, so their paths are moved into a folder, and names are looked up nowhere
but in the tests' own name server.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from support.dataplane import wait
from support.dataplane.envoy import Envoy
from support.dataplane.netns import Namespace
from support.dataplane.network import ROUTER
from support.dataplane.process import Process
from support.deploy import kustomize, pod_specs
from support.kube.cluster import Cluster
from support.kube.command import towpath

PYTHON = os.environ.get("TOWPATH_TEST_PYTHON") or sys.executable
"""Whose `towpath` runs: the gate names that of an environment with the wheel."""


def with_own_sidecar(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The pod as one that brings a sidecar: no API server asks to inject it."""
    annotations = {"openservicemesh.io/sidecar-injection": "disabled"}
    return {**pod, "metadata": {**pod["metadata"], "annotations": annotations}}


def account_kubeconfig(cluster: Cluster, folder: Path) -> Path:
    """A kubeconfig with a token of the ServiceAccount that the Deployment runs as."""
    token = cluster.kubectl("create", "token", "towpath", "-n", "osm-system")
    assert token.exit_code == 0, token.error
    config: Any = yaml.safe_load(cluster.kubeconfig().read_text())
    config["users"][0]["user"] = {"token": token.out.strip()}
    path = folder / "account.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


class DeployedPod:
    """One pod of the Deployment in `deploy/base`: its init container, then its server."""

    def __init__(
        self,
        cluster: Cluster,
        control: Namespace,
        folder: Path,
        *,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """*variables* are what `kubectl set env` has added."""
        (spec,) = pod_specs(kustomize("base"))
        self._cluster = cluster
        self._folder = folder
        self._authority = folder / "authority"
        self._moved = {"/run/towpath": str(folder), "/etc/towpath/authority": str(self._authority)}
        (self._init,), (serve,) = spec["initContainers"], spec["containers"]
        self._kubeconfig = account_kubeconfig(cluster, folder)
        environment = {**self._environment(serve), **variables}
        # The other addresses of this namespace are the pods' way in.
        environment["TOWPATH_ADS_ADDRESS"] = f"{ROUTER}:15128"
        environment["TOWPATH_ADS_TOKEN_ADDRESS"] = f"{ROUTER}:15129"
        environment["TOWPATH_HTTP_ADDRESS"] = f"{ROUTER}:9091"
        self.process = Process(
            control,
            "towpath",
            (PYTHON, "-m", "towpath", *self._arguments(serve)),
            folder=folder,
            environment=environment,
        )
        self._control = control
        self._typed_in = environment

    def start(self) -> None:
        """Run the init container to its end, then the server, until its pods may be asked.

        The kubelet mounts the Secret before both, and finds out some time later that the init
        container has filled it.
        """
        self.mount_authority()
        done = subprocess.run(
            [PYTHON, "-m", "towpath", *self._arguments(self._init)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **self._environment(self._init)},
        )
        assert done.returncode == 0, done.stderr
        self.process.start()
        self.mount_authority()
        url = f"http://{ROUTER}:9091/health/ready"
        wait.until(
            lambda: self._control.run("curl", "-s", url).stdout,
            lambda seen: seen == "ready\n",
            what="towpath is ready",
            within_s=60,
            context=self.process.tail,
        )

    def mount_authority(self) -> None:
        """The Secret's present entries, in the pod's volume as the kubelet exchanges them: all at
        one moment.
        """
        secret = self._cluster.kubectl(
            "get", "secret", "towpath-ca", "-n", "osm-system", "-o", "json"
        )
        self._authority.mkdir(exist_ok=True)
        present = Path(tempfile.mkdtemp(dir=self._authority))
        for name, data in secret.json().get("data", {}).items():
            (present / name).write_bytes(base64.b64decode(data))
        (link := self._authority / "..new").symlink_to(present.name)
        link.replace(self._authority / "..data")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What becomes of a command that is typed in the pod, as by `kubectl exec`."""
        command = (PYTHON, "-m", "towpath", *arguments)
        environment = {**os.environ, **self._typed_in}
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)

    def towpath(self, *arguments: str) -> str:
        """What a command prints that asks the server, by its local socket; "" if it fails."""
        socket = f"unix:{self._folder / 'local.sock'}"
        command = (PYTHON, "-m", "towpath", *arguments, "--server", socket)
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name which carry these labels."""
        shown = self._control.run("curl", "-s", f"http://{ROUTER}:9091/metrics").stdout
        return sum(
            sample.value
            for family in text_string_to_metric_families(shown)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def _arguments(self, container: Mapping[str, Any]) -> list[str]:
        return [self._move(one) for one in container["args"]]

    def _environment(self, container: Mapping[str, Any]) -> dict[str, str]:
        values = {
            one["name"]: self._move(one["value"]) if "value" in one else "osm-system"
            for one in container["env"]
        }
        return {**values, "TOWPATH_KUBECONFIG": str(self._kubeconfig)}

    def _move(self, text: str) -> str:
        for old, new in self._moved.items():
            text = text.replace(old, new)
        return text


def own_sidecar(cluster: Cluster, pod: Namespace, folder: Path) -> Envoy:
    """An Envoy that the pod curl.curl brings, started with what `towpath bootstrap` prints; it logs
    in with the certificate of the account's Secret.
    """
    secret = cluster.kubectl("get", "secret", "towpath-sidecar-curl", "-n", "curl", "-o", "json")
    for name, data in secret.json()["data"].items():
        (folder / name).write_bytes(base64.b64decode(data))
        (folder / name).chmod(0o644)
    printed = towpath(cluster, "bootstrap", "--pod", "curl.curl", "--tls-dir", str(folder))
    assert printed.exit_code == 0, printed.error
    return Envoy(pod, yaml.safe_load(printed.out), folder=folder)
