"""Kubernetes' own controllers make pods of Deployments and Jobs, and endpoints of Services."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.kube import build
from support.kube.cluster import Cluster

CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "job-controller",
    "endpointslice-controller",
    "resourcequota-controller",
    # A pod is not created before its account, nor run before what its volumes hold.
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
)


@contextmanager
def controllers(cluster: Cluster, folder: Path) -> Iterator[None]:
    """A kube-controller-manager with these; its log is in the folder."""
    command = [
        str(build.CONTROLLERS.binary()),
        f"--kubeconfig={cluster.kubeconfig()}",
        f"--controllers={','.join(CONTROLLERS)}",
        f"--root-ca-file={cluster.authority}",
        *("--leader-elect=false", "--secure-port=0", f"--cert-dir={folder}"),
    ]
    with (folder / "controllers.log").open("wb") as log:
        # The kernel ends it should the thread that starts it end first.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(15)
