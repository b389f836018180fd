"""What replicas share: a cluster with the demo mesh, and the address that they answer at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from support.deploy import DEPLOY
from support.kube.cluster import Cluster
from support.kube.replica import Replica


def apply_demo_mesh(cluster: Cluster) -> None:
    """Apply it; there is a second pod of curl's account, and no policy yet."""
    folder = DEPLOY / "demo" / "mesh"
    texts = [path.read_text() for path in sorted(folder.glob("*.yaml"))]
    documents = [one for text in texts for one in yaml.safe_load_all(text) if one]
    namespaces = [one for one in documents if one["kind"] == "Namespace"]
    others = [_complete(one) for one in documents if one["kind"] != "Namespace"]
    for batch in (namespaces, [*others, _second_curl()]):
        applied = cluster.apply(*batch)
        assert applied.exit_code == 0, applied.error
    kinds = "egress,httproutegroup,upstreamtrafficsetting"
    cluster.kubectl("delete", kinds, "--all", "-n", "curl")


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    if document["kind"] == "Pod":
        document["spec"].setdefault("containers", [{"name": "app", "image": "app"}])
    if document["kind"] == "MeshConfig":
        document["spec"]["traffic"]["enableEgress"] = False
        document["spec"].setdefault("featureFlags", {})["enableEgressPolicy"] = True
    return document


def _second_curl() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "curl-2", "namespace": "curl", "labels": {"app": "curl"}},
        "spec": {"serviceAccountName": "curl", "containers": [{"name": "curl", "image": "curl"}]},
    }


class Address:
    """One address that replicas answer at in turn, as behind a Service."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def leads_to(self, replica: Replica) -> None:
        """Whoever connects from now on gets this replica."""
        fresh = self.path.with_suffix(".new")
        fresh.symlink_to(replica.socket)
        fresh.replace(self.path)
