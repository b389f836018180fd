"""A real Helm, with the chart of `deploy/chart`, as a person types it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support.deploy import DEPLOY
from support.kube.build import HELM
from support.kube.cluster import Cluster, Kubectl

RELEASE = "towpath"
CHART = DEPLOY / "chart"


class Helm:
    """Helm with a home of its own in *folder*, at a cluster if there is one."""

    def __init__(self, folder: Path, cluster: Cluster | None = None) -> None:
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        if cluster is not None:
            self._environment["KUBECONFIG"] = str(cluster.kubeconfig())

    def __call__(self, *arguments: str) -> Kubectl:
        """What it printed, and its exit code."""
        command = [str(HELM.binary()), *arguments]
        return Kubectl(
            subprocess.run(
                command, check=False, capture_output=True, text=True, env=self._environment
            )
        )

    def succeed(self, *arguments: str) -> str:
        """What it printed; it has to end well."""
        done = self(*arguments)
        assert done.exit_code == 0, done.error
        return done.out
