"""Kubernetes' own controllers make the pods, its own admission takes them, Towpath's among it; what
is stored is run, and called through mutual TLS.

The gate does not collect this file, as its name is no `test_*.py`; `make prove` names it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from support.dataplane import wait
from support.dataplane.hosts import Hosts
from support.dataplane.network import Network
from support.kube.controllers import controllers
from support.kube.injecting import Injecting, installed, kubelet_of

pytestmark = [pytest.mark.kube, pytest.mark.dataplane]

PORT = 8090
NODE: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "here"}}
HARD = {"pods": "4", "requests.cpu": "1", "limits.memory": "4Gi"}


@pytest.fixture(scope="module")
def injecting(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[Injecting]:
    folder = tmp_path_factory.mktemp("controllers")
    with (
        installed(folder, network, service_accounts=True) as injecting,
        controllers(injecting.cluster, folder),
    ):
        yield injecting


def container(*command: str) -> dict[str, Any]:
    amounts = {"cpu": "10m", "memory": "16Mi"}
    resources = {"requests": amounts, "limits": amounts}
    return {"name": "app", "image": "app", "command": list(command), "resources": resources}


def workload(api: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


def pods(injecting: Injecting, label: str, count: int) -> list[dict[str, Any]]:
    """The pods that a controller has made, once there are so many; on a node, as the scheduler
    would put them there.
    """

    def look() -> list[dict[str, Any]]:
        shown = injecting.cluster.kubectl("get", "pods", "-n", "shop", "-l", label, "-o", "json")
        listed: list[dict[str, Any]] = shown.json()["items"]
        return listed

    what = f"there are {count} pods with {label}"
    items = wait.until(look, lambda listed: len(listed) == count, what=what, within_s=60)
    for one in items:
        name = one["metadata"]["name"]
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE["metadata"]["name"]}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}}
        bound = injecting.cluster.kubectl(
            *("create", "--raw", f"/api/v1/namespaces/shop/pods/{name}/binding", "-f", "-"),
            stdin=json.dumps({**binding, "target": target}),
        )
        assert bound.exit_code == 0, bound.error
    return items


def test_a_deployment_and_a_job_of_the_mesh_by_kubernetes_own_controllers(
    injecting: Injecting,
    hosts: Hosts,  # noqa: ARG001 - the control plane is called by its name
) -> None:
    cluster = injecting.cluster
    injecting.join("shop")
    injecting.patch({"spec": {"traffic": {"mtls": "strict"}}})
    served = container(sys.executable, "-m", "http.server", "--directory", "/srv", str(PORT))
    served["readinessProbe"] = {"httpGet": {"path": "/", "port": PORT}}
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [served]}}
    selector = {"matchLabels": labels}
    deployed = {"replicas": 2, "selector": selector, "template": template}
    ports = [{"port": PORT, "appProtocol": "http"}]
    applied = cluster.apply(
        NODE,
        workload("v1", "ResourceQuota", "all", {"hard": HARD}),
        workload("v1", "Service", "web", {"selector": labels, "ports": ports}),
        workload("apps/v1", "Deployment", "web", deployed),
    )
    assert applied.exit_code == 0, applied.error

    with ExitStack() as stack:
        web = pods(injecting, "app=web", 2)
        for one, name in zip(web, ("bookstore-0", "bookstore-1"), strict=True):
            kubelet = stack.enter_context(kubelet_of(injecting, name))
            kubelet.wait_ready(kubelet.run("shop", one["metadata"]["name"]))
        rollout = ("rollout", "status", "deployment/web", "-n", "shop", "--timeout=60s")
        rolled_out = cluster.kubectl(*rollout)
        assert rolled_out.exit_code == 0, rolled_out.error

        service = cluster.kubectl("get", "service", "web", "-n", "shop", "-o", "json").json()
        url = f"http://{service['spec']['clusterIP']}:{PORT}/"
        # It comes to call before its sidecar has heard of the endpoints.
        again = ("--retry", "60", "--retry-delay", "1", "--retry-all-errors", "--fail")
        calling = {"containers": [container("curl", "-sS", *again, url)], "restartPolicy": "Never"}
        job = {"template": {"spec": calling}, "backoffLimit": 0}
        applied = cluster.apply(workload("batch/v1", "Job", "call", job))
        assert applied.exit_code == 0, applied.error
        (call,) = pods(injecting, "job-name=call", 1)
        kubelet = stack.enter_context(kubelet_of(injecting))
        ended = kubelet.finish(kubelet.run("shop", call["metadata"]["name"]))
        assert "Succeeded" == ended["status"]["phase"]
        complete = ("wait", "job/call", "-n", "shop", "--for=condition=complete", "--timeout=60s")
        completed = cluster.kubectl(*complete)
        assert completed.exit_code == 0, completed.error

    owners = [one["metadata"]["ownerReferences"][0]["kind"] for one in (*web, call)]
    assert ["ReplicaSet", "ReplicaSet", "Job"] == owners
    for one in (*web, call):
        assert ["osm-init", "envoy"] == [init["name"] for init in one["spec"]["initContainers"]]
    # Two of the Deployment, each with its sidecar's 100m: the Job's has ended, and counts no more.
    wait.until(
        lambda: cluster.kubectl("get", "resourcequota", "all", "-n", "shop", "-o", "json").json(),
        lambda quota: ("2", "220m") == _used(quota),
        what="the quota counts the sidecars",
        within_s=60,
    )


def _used(quota: Any) -> tuple[str, str]:
    used = quota["status"].get("used", {})
    return used.get("pods", ""), used.get("requests.cpu", "")
