"""A cluster with Towpath installed, whose API server asks it to inject pods."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.dataplane import wait
from support.dataplane.envoy import binary
from support.dataplane.iptables import without_redirect
from support.dataplane.network import POD_ADDRESSES, Network
from support.kube.cluster import Cluster
from support.kube.command import towpath
from support.kube.deployed import DeployedPod
from support.kube.kubelet import Kubelet
from support.kube.passage import passage
from support.kube.routed import FLAGS, endpoints, way_in

WEBHOOK = ("mutatingwebhookconfiguration", "towpath")
BROKEN = "broken/envoy"
"""An image whose program ends at once."""
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(name: str, namespace: str, **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {
            "serviceAccountName": "default",
            "containers": [
                {
                    "name": "app",
                    "image": "app",
                    "command": ["sleep", "infinity"],
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "16Mi"},
                        "limits": {"cpu": "10m", "memory": "16Mi"},
                    },
                    "securityContext": RESTRICTED,
                }
            ],
        },
    }


def account(name: str, namespace: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


@dataclass(frozen=True)
class Injecting:
    """An installed control plane that an API server asks."""

    cluster: Cluster
    network: Network
    server: DeployedPod

    def bundle(self) -> str:
        """Whom the API server trusts as the webhook."""
        webhook = self.cluster.kubectl("get", *WEBHOOK, "-o", "json").json()["webhooks"][0]
        return str(webhook["clientConfig"].get("caBundle", ""))

    def wait_trusted(self, *, unlike: str = "") -> str:
        """Return once the replica that leads has written it."""
        return wait.until(
            self.bundle,
            lambda bundle: bundle not in ("", unlike),
            what="the replica that leads writes caBundle",
            within_s=60,
            context=self.server.process.tail,
        )

    def patch(self, change: dict[str, Any]) -> None:
        done = self.cluster.kubectl(
            *("patch", "meshconfig", "osm-mesh-config", "-n", "osm-system"),
            *("-p", json.dumps(change), "--type=merge"),
        )
        assert done.exit_code == 0, done.error

    def join(self, namespace: str, **labels: str) -> None:
        """A namespace of the mesh, as its users make one."""
        self.cluster.kubectl("create", "namespace", namespace)
        for label, text in labels.items():
            name = f"pod-security.kubernetes.io/{label}={text}"
            self.cluster.kubectl("label", "namespace", namespace, name, "--overwrite")
        done = towpath(self.cluster, "namespace", "add", namespace)
        assert done.exit_code == 0, done.error


@contextmanager
def kubelet_of(injecting: Injecting, name: str = "curl") -> Iterator[Kubelet]:
    """What runs pods in that network namespace; at the end nothing of them is left."""
    network = injecting.network
    with (
        without_redirect(network.pods[name]),
        tempfile.TemporaryDirectory(prefix="towpath-pod-") as folder,
    ):
        Path(folder).chmod(0o755)
        kubelet = Kubelet(
            injecting.cluster,
            node=network.control,
            pod=network.pods[name],
            address=POD_ADDRESSES[name],
            folder=Path(folder),
            programs={"envoyproxy/envoy": str(binary()), BROKEN: "false"},
        )
        try:
            yield kubelet
        finally:
            kubelet.stop()


@contextmanager
def installed(
    folder: Path, network: Network, *, service_accounts: bool = False
) -> Iterator[Injecting]:
    """`towpath install` on an API server of its own; the control plane is ready, and asked."""
    with ExitStack() as stack:
        cluster = Cluster(folder, flags=FLAGS, service_accounts=service_accounts)
        stack.enter_context(cluster)
        stack.enter_context(passage(network.control, cluster.port))
        address = stack.enter_context(way_in(network.control))
        shared = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="towpath-injected-")))
        shared.chmod(0o755)
        done = towpath(cluster, "install")
        assert done.exit_code == 0, done.error
        endpoints(cluster, address)
        server = DeployedPod(cluster, network.control, shared)
        stack.callback(server.process.stop)
        server.start()
        injecting = Injecting(cluster, network, server)
        injecting.wait_trusted()
        yield injecting
