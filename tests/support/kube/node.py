"""A node of a cluster whose pods have this machine's network: port-forwards lead to its loopback.

Kubernetes' own code answers them (`tests/kube/kubelet`), behind the real API server.
"""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

from support.certificates import Certificates
from support.dataplane import wait
from support.kube.build import KUBELET
from support.kube.cluster import Cluster, Kubectl
from support.ports import free_ports

STARTS_WITHIN_S = 60.0


class Node:
    """A kubelet in all that a port-forward needs of one; pods are made on it by `run`."""

    def __init__(self, cluster: Cluster, folder: Path, *, name: str = "node") -> None:
        self._cluster = cluster
        self._folder = folder
        self._name = name
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        certificates = Certificates(self._folder, name=self._name)
        files = certificates.issue(self._name, addresses=("127.0.0.1",))
        (port,) = free_ports(1)
        with (self._folder / f"{self._name}.log").open("ab") as log:
            self._child = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "--", str(KUBELET.binary())),
                    *("-address", f"127.0.0.1:{port}"),
                    *("-tls-cert-file", str(files.certificate)),
                    *("-tls-private-key-file", str(files.key)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait.until(
            lambda: socket.create_connection(("127.0.0.1", port)).close(),
            lambda _: True,
            what="the kubelet listens",
            within_s=STARTS_WITHIN_S,
        )
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._name}}
        _done(self._cluster.apply(node))
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        self._patch("node", self._name, {"status": status}, "--subresource=status")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        _done(self._cluster.kubectl("delete", "node", self._name, "--ignore-not-found"))

    def stop(self) -> None:
        """End the kubelet: nothing answers port-forwards any more."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def run(self, pod: dict[str, Any], *, ready: bool = True) -> None:
        """Put a pod on the node, whose containers are running, and say whether it is ready."""
        _done(self._cluster.apply({**pod, "spec": {**pod["spec"], "nodeName": self._name}}))
        self.set_ready(pod, ready=ready)

    def remove(self, pod: dict[str, Any]) -> None:
        """What a kubelet ends with: without it, a pod of a node stays for ever."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        force = ("--force", "--grace-period=0")
        _done(self._cluster.kubectl("delete", "pod", name, "-n", namespace, *force))

    def set_ready(self, pod: dict[str, Any], *, ready: bool) -> None:
        condition = {"type": "Ready", "status": str(ready)}
        status = {"phase": "Running", "conditions": [condition]}
        metadata = pod["metadata"]
        self._patch(
            *("pod", metadata["name"], {"status": status}),
            *("-n", metadata["namespace"], "--subresource=status"),
        )

    def _patch(self, kind: str, name: str, body: dict[str, Any], *more: str) -> None:
        text = json.dumps(body)
        _done(self._cluster.kubectl("patch", kind, name, "--type=merge", "-p", text, *more))


def _done(kubectl: Kubectl) -> None:
    assert kubectl.exit_code == 0, kubectl.error
