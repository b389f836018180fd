"""`deploy/` on a real API server, which nothing else was applied to."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from support.deploy import ALL, DEPLOY, OVERLAYS, kustomize, pod_specs
from support.kube.cluster import Cluster

pytestmark = pytest.mark.kube

OPERATOR = [
    yaml.safe_load(f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {kind.lower()}s.monitoring.coreos.com}}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {{kind: {kind}, plural: {kind.lower()}s, singular: {kind.lower()}}}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}
""")
    for kind in ("PodMonitor", "ServiceMonitor", "PrometheusRule")
]
"""Stands for the Prometheus Operator, which the overlay `monitoring` is for."""


@pytest.fixture(scope="module")
def applied(bare: Cluster) -> Cluster:
    """With the laptop's overlay, by one command, and the Prometheus Operator's definition."""
    bare.kubectl("create", "namespace", "curl")
    for folder in ("overlays/laptop", "demo/curl"):
        done = bare.kubectl("apply", "-k", str(DEPLOY / folder))
        assert done.exit_code == 0, done.error
    assert bare.apply(*OPERATOR).exit_code == 0
    waited = bare.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    assert waited.exit_code == 0, waited.error
    return bare


@pytest.mark.parametrize("folder", ALL)
def test_each_folder_is_accepted(applied: Cluster, folder: str) -> None:
    done = applied.kubectl("apply", "--dry-run=server", "-k", str(DEPLOY / folder))

    assert done.exit_code == 0, done.error
    assert "Warning" not in done.error
    assert len(done.out.splitlines()) == len(kustomize(folder))


def test_a_second_apply_would_change_nothing(applied: Cluster) -> None:
    done = applied.kubectl("diff", "-k", str(DEPLOY / "overlays" / "laptop"))

    assert (done.exit_code, done.out) == (0, "")


@pytest.mark.parametrize("folder", OVERLAYS)
def test_the_pods_are_let_in_where_rights_of_the_node_are_not(
    applied: Cluster, folder: str
) -> None:
    (spec,) = pod_specs(kustomize(folder))
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tried", "namespace": "osm-system"},
        "spec": spec,
    }
    create = ("create", "--dry-run=server", "-f", "-")
    allowed = applied.kubectl(*create, stdin=yaml.safe_dump(pod))
    spec["securityContext"]["runAsNonRoot"] = False
    refused = applied.kubectl(*create, stdin=yaml.safe_dump(pod))

    assert allowed.exit_code == 0, allowed.error
    assert 'violates PodSecurity "restricted' in refused.error
