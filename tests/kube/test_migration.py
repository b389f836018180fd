"""`docs/migrate-from-osm.md`, command by command, from a living Open Service Mesh and back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.deploy import CRDS, DEPLOY
from support.kube import osm
from support.kube.cluster import Cluster, kubectl_binary
from support.kube.command import towpath
from support.pages import Typed, commands

pytestmark = pytest.mark.kube

PAGE = DEPLOY.parent / "docs" / "migrate-from-osm.md"
THEIRS = "osm uninstall mesh -f"
INSTALL = "towpath install --take-ownership"
LEFT_OUT = ("explain", "kubectl rollout", "towpath injection", "towpath check")
"""What depends on the reader's own mesh, and what a kubelet would bring about."""
JUDGING = "towpath problems "
"""Its exit code is about the reader's own mesh."""
DEFINITION = ("get", "crd", "meshconfigs.config.openservicemesh.io", "-o", "json")
POLICY = ("get", "egress", "payments", "-n", "shop", "-o", "json")
NAME = "CustomResourceDefinition egresses.policy.openservicemesh.io"


def type_(typed: Typed, cluster: Cluster, folder: Path) -> str:
    """What it prints; it must end as the page says."""
    programs = f"{Path(sys.executable).parent}:{kubectl_binary().parent}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", typed.command],
        check=False,
        cwd=folder,
        env={
            **os.environ,
            "KUBECONFIG": str(cluster.kubeconfig()),
            "PATH": f"{programs}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
    )
    allowed = (0, 1) if typed.command.startswith(JUDGING) else (typed.exit_code,)
    assert done.returncode in allowed, f"{typed}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_who_follows_the_page_loses_nothing(bare: Cluster, tmp_path: Path) -> None:
    osm.live(bare)
    kept = bare.kubectl("get", *osm.CONFIG, "-o", "json").json()
    before = bare.kubectl(*POLICY).json()
    printed = {}
    for typed in commands(PAGE):
        if any(part in typed.command for part in LEFT_OUT):
            continue
        if typed.command == THEIRS:
            osm.uninstall(bare)
            stopped = towpath(bare, "install")
            assert f"{NAME}: it has the label app.kubernetes.io/name: openserv" in stopped.error
            assert "--take-ownership" in stopped.error
        else:
            printed[typed.command] = type_(typed, bare, tmp_path)

    assert f"  taken     {NAME}" in printed[INSTALL]
    assert "The MeshConfig osm-system/osm-mesh-config already exists" in printed[INSTALL]
    config = bare.kubectl("get", *osm.CONFIG, "-o", "json").json()
    assert (kept["metadata"]["uid"], kept["spec"]) == (config["metadata"]["uid"], config["spec"])
    after = bare.kubectl(*POLICY).json()
    assert (before["metadata"]["uid"], before["spec"]) == (after["metadata"]["uid"], after["spec"])
    definition = bare.kubectl(*DEFINITION).json()
    assert ["v1alpha2"] == definition["status"]["storedVersions"]
    assert {"strategy": "None"} == definition["spec"]["conversion"]
    again = towpath(bare, "upgrade")
    assert again.exit_code == 0, again.error
    assert "taken" not in again.out
    assert f"{len(CRDS)} are established, and of this version" in towpath(bare, "check").out

    removed = towpath(bare, "uninstall", "-f")
    assert removed.exit_code == 0, removed.error
    assert "  kept      MeshConfig osm-system/osm-mesh-config" in removed.out
    assert kept["spec"] == bare.kubectl("get", *osm.CONFIG, "-o", "json").json()["spec"]
    assert before["spec"] == bare.kubectl(*POLICY).json()["spec"]
