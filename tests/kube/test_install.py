"""`towpath install` and its kin on a real API server, which nothing was ever applied to."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.dataplane import wait
from support.kube.cluster import Cluster
from support.kube.command import towpath
from towpath.install.check import contains

pytestmark = pytest.mark.kube

CONFIG = ("meshconfig", "osm-mesh-config", "-n", "osm-system")
ALL = "deployment,service,configmap,serviceaccount,role,rolebinding,pdb,networkpolicy,secret"


def installed(cluster: Cluster, *arguments: str) -> str:
    done = towpath(cluster, "install", *arguments)
    assert done.exit_code == 0, done.error
    return done.out


def versions(cluster: Cluster) -> dict[str, str]:
    """Every object of the installation, with the version that the API server has of it."""
    held = {}
    for command in (
        ("get", ALL, "-n", "osm-system"),
        ("get", "crd,clusterrole,clusterrolebinding"),
    ):
        shown = cluster.kubectl(
            *command, "-l", "app.kubernetes.io/name=towpath", "-o", "json"
        ).json()
        for one in shown["items"]:
            metadata = one["metadata"]
            held[f"{one['kind']}/{metadata['name']}"] = metadata["resourceVersion"]
    return held


def roll_out(cluster: Cluster, *, available: int) -> None:
    """As the controller and the kubelets do: write the Deployment's status."""
    held = cluster.kubectl("get", "deployment", "towpath", "-n", "osm-system", "-o", "json").json()
    status = {
        "observedGeneration": held["metadata"]["generation"],
        "replicas": held["spec"]["replicas"],
        "updatedReplicas": held["spec"]["replicas"],
        "readyReplicas": available,
        "availableReplicas": available,
    }
    patched = cluster.kubectl(
        *("patch", "deployment", "towpath", "-n", "osm-system", "--subresource=status"),
        *("--type=merge", "-p", json.dumps({"status": status})),
    )
    assert patched.exit_code == 0, patched.error


@pytest.fixture
def empty(bare: Cluster) -> Cluster:
    """The API server without an installation; its namespaces stay, as nothing there ends them."""
    done = towpath(bare, "uninstall", "mesh", "-f", "-a")
    assert done.exit_code == 0, done.error
    wait.until(lambda: bare.kubectl("get", "crd", "-o", "name").out, lambda out: out == "", what="")
    return bare


def test_install_patch_upgrade_install_again_uninstall(empty: Cluster) -> None:
    out = installed(empty, "--set", "osm.enableEgress=true")
    assert "  created   Deployment osm-system/towpath" in out
    assert "towpath namespace add NAMESPACE" in out
    assert "  created   MeshConfig osm-system/osm-mesh-config" in out
    switch = ("get", *CONFIG, "-o", "jsonpath={.spec.traffic.enableEgress}")
    assert empty.kubectl(*switch).out == "true"
    change = '{"spec":{"traffic":{"enableEgress":false}}}'
    assert empty.kubectl("patch", *CONFIG, "-p", change, "--type=merge").exit_code == 0
    config = empty.kubectl("get", *CONFIG, "-o", "json").json()
    before = versions(empty)

    upgraded = towpath(empty, "upgrade")
    again = towpath(empty, "install", "--set", "osm.enableEgress=true")

    assert (upgraded.exit_code, again.exit_code) == (0, 0), upgraded.error + again.error
    for out in (upgraded.out, again.out):
        assert "created" not in out
        assert " changed" not in out
    assert versions(empty) == before
    assert empty.kubectl("get", *CONFIG, "-o", "json").json() == config
    assert "WARNING: spec.traffic.enableEgress is false there, and --set does not" in again.error
    patch = again.error.strip().splitlines()[-1].strip()
    assert patch.startswith("kubectl patch meshconfig osm-mesh-config -n osm-system --type=merge")

    removed = towpath(empty, "uninstall", "mesh", "-f")
    assert removed.exit_code == 0, removed.error
    left = {name.partition("/")[0] for name in versions(empty)}
    assert left == {"CustomResourceDefinition"}
    assert "NotFound" in empty.kubectl("get", *CONFIG).error


def test_the_printed_command_patches_the_meshconfig(empty: Cluster) -> None:
    installed(empty)
    again = towpath(empty, "install", "--set", "osm.featureFlags.enableEgressPolicy=true")
    command = again.error.strip().splitlines()[-1].strip()
    kubeconfig = str(empty.kubeconfig())
    done = subprocess.run(
        command, shell=True, env={**os.environ, "KUBECONFIG": kubeconfig}, check=False
    )
    switch = "jsonpath={.spec.featureFlags.enableEgressPolicy}"

    assert done.returncode == 0
    assert empty.kubectl("get", *CONFIG, "-o", switch).out == "true"


def test_a_dry_run_prints_what_install_applies_and_applies_nothing(empty: Cluster) -> None:
    done = towpath(empty, "install", "--dry-run", "--set", "osm.meshName=other")
    assert done.exit_code == 0, done.error
    assert versions(empty) == {}
    assert (
        "namespace/osm-system"
        in empty.kubectl("create", "--dry-run=client", "-f", "-", stdin=done.out).out
    )
    documents: list[Any] = list(yaml.safe_load_all(done.out))
    installed(empty, "--mesh-name", "other")
    for document in documents:
        if document["kind"] == "Deployment":
            held = empty.kubectl("get", "deployment", "towpath", "-n", "osm-system", "-o", "json")
            assert contains(held.json()["spec"], document["spec"])


def test_wait_returns_when_every_replica_is_available(empty: Cluster) -> None:
    installed(empty)
    roll_out(empty, available=1)
    early = towpath(empty, "install", "--wait", "--timeout", "1")
    roll_out(empty, available=2)
    done = towpath(empty, "install", "--wait", "--timeout", "20")

    assert early.exit_code == 1
    assert "is not rolled out after 1 s: 1 of 2 replicas are available" in early.error
    assert done.exit_code == 0, done.error
    assert "Every replica is available." in done.out


def test_an_upgrade_keeps_what_was_installed(empty: Cluster) -> None:
    installed(empty, "--mesh-name", "other", "--set", "osm.image.registry=here,osm.image.tag=0.0.1")
    scale = ("scale", "deployment", "towpath", "-n", "osm-system", "--replicas=5")
    assert empty.kubectl(*scale).exit_code == 0
    assert "other  0.0.1" in towpath(empty, "version").out
    refused = towpath(empty, "upgrade", "--set", "osm.enableEgress=true")
    upgraded = towpath(empty, "upgrade")
    spec = empty.kubectl("get", "deployment", "towpath", "-n", "osm-system", "-o", "json").json()[
        "spec"
    ]
    container = spec["template"]["spec"]["containers"][0]

    assert "only `towpath install` takes it" in refused.error
    assert upgraded.exit_code == 0, upgraded.error
    assert container["image"].startswith("here/towpath:")
    assert not container["image"].endswith(":0.0.1")
    assert {"name": "TOWPATH_MESH_NAME", "value": "other"} in container["env"]
    assert spec["replicas"] == 5


def test_an_upgrade_of_nothing_says_what_to_do(empty: Cluster) -> None:
    done = towpath(empty, "upgrade")

    assert done.exit_code == 1
    assert "nothing is installed in osm-system: use `towpath install`" in done.error


def test_uninstall_asks_first(empty: Cluster) -> None:
    installed(empty)
    before = versions(empty)
    refused = towpath(empty, "uninstall", stdin="n\n")

    assert refused.exit_code == 1
    assert versions(empty) == before


def test_who_may_not_install_is_told_what_is_missing(empty: Cluster) -> None:
    done = towpath(empty, "install", identity="stranger")

    assert done.exit_code == 1
    assert 'User "stranger" cannot list resource "deployments"' in done.error


def test_namespaces_join_and_leave(empty: Cluster) -> None:
    for name in ("shop", "stock"):
        empty.kubectl("create", "namespace", name)
    added = towpath(empty, "namespace", "add", "shop", "stock")
    other = towpath(empty, "namespace", "add", "shop", "--mesh-name", "other")
    own = towpath(empty, "namespace", "add", "osm-system")
    listed = towpath(empty, "namespace", "list").out.splitlines()
    names = towpath(empty, "namespace", "list", "-o", "name").out.split()
    as_json = towpath(empty, "namespace", "list", "-o", "json").json()
    disabled = towpath(empty, "namespace", "add", "stock", "--disable-sidecar-injection")
    relisted = towpath(empty, "namespace", "list").out.splitlines()
    removed = towpath(empty, "namespace", "remove", "stock")
    left = towpath(empty, "namespace", "list", "--mesh-name", "osm").out.splitlines()
    twice = towpath(empty, "namespace", "remove", "stock")

    assert added.exit_code == 0, added.error
    assert "namespace shop is in mesh osm: remove it from there first" in other.error
    assert "it cannot join a mesh" in own.error
    assert ["shop osm enabled", "stock osm enabled"] == [" ".join(x.split()) for x in listed[1:]]
    assert ["shop", "stock"] == names
    enabled = {"mesh": "osm", "sidecarInjection": "enabled"}
    assert {"namespaces": [{"name": name, **enabled} for name in names]} == as_json
    assert disabled.exit_code == 0, disabled.error
    assert "stock osm disabled" == " ".join(relisted[-1].split())
    assert removed.exit_code == 0, removed.error
    assert ["shop osm enabled"] == [" ".join(x.split()) for x in left[1:]]
    assert "namespace stock is in no mesh, not in osm" in twice.error
    assert towpath(empty, "namespace", "remove", "shop").exit_code == 0


def test_check_names_what_is_wrong_and_is_quiet_about_what_is_not(
    empty: Cluster, tmp_path: Path
) -> None:
    nothing = towpath(empty, "check")
    installed(empty)
    roll_out(empty, available=2)
    unfilled = towpath(empty, "check")
    # As the init container of a replica does it.
    where = ("--kubeconfig", str(empty.kubeconfig()))
    assert towpath(empty, "certificates", "server", str(tmp_path), *where).exit_code == 0
    well = towpath(empty, "check")
    empty.kubectl("delete", "clusterrolebinding", "towpath")
    column = '[{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns"}]'
    empty.kubectl("patch", "crd", "egresses.policy.openservicemesh.io", "--type=json", "-p", column)
    ill = towpath(empty, "check")

    assert nothing.exit_code == 1
    assert "nothing is installed in osm-system" in nothing.out
    assert unfilled.exit_code == 1
    assert "Secret osm-system/towpath-ca is empty: the first replica fills it" in unfilled.out
    assert well.exit_code == 0, well.out
    assert "sidecars trust 1 root\n" in well.out
    assert "egress passthrough off, egress policies off, permissive in-mesh traffic on" in well.out
    assert "all 2 replicas are available" in well.out
    assert "\x1b[" not in well.out
    assert ill.exit_code == 1
    assert "list namespaces in every namespace" in ill.out
    assert "egresses.policy.openservicemesh.io: it is not that of this version" in ill.out
