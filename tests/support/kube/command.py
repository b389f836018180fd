"""The `towpath` command as a person types it, at a cluster."""

from __future__ import annotations

import subprocess

from click.testing import CliRunner

from support.kube.cluster import ADMIN, Cluster, Kubectl
from towpath.cli import main


def towpath(cluster: Cluster, *arguments: str, identity: str = ADMIN, stdin: str = "") -> Kubectl:
    """Run it with that identity's kubeconfig; what it printed, and its exit code."""
    environment = {"KUBECONFIG": str(cluster.kubeconfig(identity))}
    done = CliRunner(env=environment).invoke(main, arguments, input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Kubectl(subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr))
