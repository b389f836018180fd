"""`docs/mtls.md`, command by command, on an API server: what each leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.deploy import DEPLOY
from support.kube.cluster import Cluster, kubectl_binary
from support.kube.mesh import install
from support.pages import Typed, commands
from towpath.model.identity import MODES
from towpath.planning.identity import MARK

pytestmark = pytest.mark.kube

PAGE = DEPLOY.parent / "docs" / "mtls.md"
LEFT_OUT = ("towpath check", "kubectl rollout status")
"""What needs a control plane, and what a kubelet would bring about."""
POD: dict[str, Any] = {
    "metadata": {"labels": {"app": "bookstore"}},
    "spec": {"containers": [{"name": "bookstore", "image": "example.test/bookstore"}]},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "bookstore", "namespace": "bookstore"},
    "spec": {"selector": {"matchLabels": {"app": "bookstore"}}, "template": POD},
}
CONFIG = {
    "apiVersion": "config.openservicemesh.io/v1alpha2",
    "kind": "MeshConfig",
    "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
    "spec": {"traffic": {"enablePermissiveTrafficPolicyMode": True}},
}
State = tuple[str | None, str | None, str | None]
"""The mark in the template, the annotation of the namespace, the mode in the MeshConfig."""


def type_(typed: Typed, cluster: Cluster) -> None:
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig()),
        "PATH": f"{Path(sys.executable).parent}:{kubectl_binary().parent}:{os.environ['PATH']}",
    }
    command = ["bash", "-euo", "pipefail", "-c", typed.command]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert typed.exit_code == done.returncode, f"{typed}\n{done.stdout}\n{done.stderr}"


def state(cluster: Cluster) -> State:
    deployment = cluster.kubectl("get", "deployment", "bookstore", "-n", "bookstore", "-o", "json")
    namespace = cluster.kubectl("get", "namespace", "bookstore", "-o", "json")
    path = ("get", "meshconfig", "osm-mesh-config", "-n", "osm-system", "-o", "json")
    labels = deployment.json()["spec"]["template"]["metadata"]["labels"]
    annotations = namespace.json()["metadata"].get("annotations", {})
    return (
        labels.get(MARK[0]),
        annotations.get(MARK[0]),
        cluster.kubectl(*path).json()["spec"]["traffic"].get("mtls"),
    )


def test_who_follows_the_page_there_and_back_does_one_thing_at_a_time(cluster: Cluster) -> None:
    install(cluster)
    cluster.kubectl("create", "namespace", "bookstore")
    for document in (DEPLOYMENT, CONFIG):
        assert cluster.apply(document).exit_code == 0
    states = [state(cluster)]
    for typed in commands(PAGE):
        if typed.command not in LEFT_OUT and not typed.command.startswith(LEFT_OUT):
            type_(typed, cluster)
            states.append(state(cluster))

    assert [
        (None, None, None),
        ("1", None, None),
        ("1", "strict", None),
        ("1", "strict", "strict"),
        ("1", None, "strict"),
        ("1", None, "permissive"),
        ("1", None, "disabled"),
        (None, None, "disabled"),
    ] == states


def test_the_page_names_every_mode() -> None:
    text = PAGE.read_text()

    assert [] == [mode for mode in MODES if f"| `{mode}`" not in text]
