"""One API server for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from support.kube.build import API_SERVER, CannotBuildError
from support.kube.cluster import Cluster
from support.kube.mesh import install

READER = list(
    yaml.safe_load_all("""
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: [list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: User, name: reader, apiGroup: rbac.authorization.k8s.io}]
""")
)
"""Rights of somebody who may see everything, and write nothing."""


@pytest.fixture(scope="session")
def shared() -> list[Cluster]:
    """The API server that modules share, once there is one."""
    return []


@pytest.fixture(scope="session")
def cluster(shared: list[Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The API server, with our CustomResourceDefinitions established."""
    _needs_api_server()
    with Cluster(tmp_path_factory.mktemp("cluster")) as started:
        _furnish(started)
        shared.append(started)
        yield started


@pytest.fixture(scope="module", autouse=True)
def leave_nothing(shared: list[Cluster]) -> Iterator[None]:
    """What a module made in the shared cluster is gone before the next one begins."""
    yield
    for one in shared:
        one.clear()


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The same on a server that streams no lists, as before Kubernetes 1.32."""
    _needs_api_server()
    flags = ("--feature-gates=WatchList=false",)
    with Cluster(tmp_path_factory.mktemp("older"), flags=flags) as started:
        _furnish(started)
        yield started


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An API server that nothing was ever applied to."""
    _needs_api_server()
    with Cluster(tmp_path_factory.mktemp("bare")) as started:
        yield started


def _needs_api_server() -> None:
    try:
        API_SERVER.binary()
    except CannotBuildError as error:
        pytest.skip(str(error))


def _furnish(cluster: Cluster) -> None:
    install(cluster)
    cluster.kubectl("create", "namespace", "curl")
    granted = cluster.apply(*READER)
    assert granted.exit_code == 0, granted.error
