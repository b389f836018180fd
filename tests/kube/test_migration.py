"""`docs/migrate-from-osm.md`, from a living Open Service Mesh to Towpath and back."""

from __future__ import annotations

import pytest

from support.kube import osm
from support.kube.cluster import Cluster
from support.kube.command import towpath

pytestmark = [pytest.mark.kube, pytest.mark.timeout(300)]

DEFINITION = ("get", "crd", "meshconfigs.config.openservicemesh.io", "-o", "json")


def test_from_a_living_mesh_to_ours_and_back(bare: Cluster) -> None:
    osm.live(bare)
    kept = bare.kubectl("get", *osm.CONFIG, "-o", "json").json()
    policy = ("get", "egress", "payments", "-n", "shop", "-o", "json")
    before = bare.kubectl(*policy).json()
    osm.uninstall(bare)

    stopped = towpath(bare, "install")
    assert stopped.exit_code == 1
    name = "CustomResourceDefinition egresses.policy.openservicemesh.io"
    assert f"{name}: it has the label app.kubernetes.io/name: openservicemesh.io" in stopped.error
    assert "--take-ownership" in stopped.error

    installed = towpath(bare, "install", "--take-ownership")
    assert installed.exit_code == 0, installed.error
    assert f"  taken     {name}" in installed.out
    assert "The MeshConfig osm-system/osm-mesh-config was here before" in installed.out
    config = bare.kubectl("get", *osm.CONFIG, "-o", "json").json()
    assert (kept["metadata"]["uid"], kept["spec"]) == (config["metadata"]["uid"], config["spec"])
    after = bare.kubectl(*policy).json()
    assert (before["metadata"]["uid"], before["spec"]) == (after["metadata"]["uid"], after["spec"])
    definition = bare.kubectl(*DEFINITION).json()
    assert ["v1alpha2"] == definition["status"]["storedVersions"]
    assert {"strategy": "None"} == definition["spec"]["conversion"]
    again = towpath(bare, "upgrade")
    assert again.exit_code == 0, again.error
    assert "taken" not in again.out
    assert "4 are established, and of this version" in towpath(bare, "check").out

    removed = towpath(bare, "uninstall", "-f")
    assert removed.exit_code == 0, removed.error
    assert "  kept      MeshConfig osm-system/osm-mesh-config" in removed.out
    assert kept["spec"] == bare.kubectl("get", *osm.CONFIG, "-o", "json").json()["spec"]
    assert before["spec"] == bare.kubectl(*policy).json()["spec"]
