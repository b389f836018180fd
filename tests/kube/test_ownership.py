"""Only what is ours is changed and removed, and all of it: on an API server without any mesh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.kube import osm
from support.kube.cluster import Cluster
from support.kube.command import towpath

pytestmark = pytest.mark.kube


@pytest.fixture
def empty(bare: Cluster) -> Iterator[Cluster]:
    """The API server without any mesh; only its namespaces stay, as nothing there ends them."""
    yield bare
    namespaced = "deployment,service,configmap,serviceaccount,secret,role,rolebinding,pdb,netpol"
    for namespace in ("osm-system", "towpath-system"):
        bare.kubectl("delete", namespaced, "--all", "-n", namespace)
    label = ("-l", "app.kubernetes.io/name=towpath")
    bare.kubectl("delete", "clusterrole,clusterrolebinding,crd", *label)


def test_without_any_towpath_uninstall_says_so_and_asks_nothing(empty: Cluster) -> None:
    done = towpath(empty, "uninstall", "-a", "--delete-namespace")

    assert done.exit_code == 0, done.error
    assert "Nothing to remove: Towpath is not installed in osm-system." in done.out
    assert "deleted" not in done.out


@pytest.mark.parametrize(
    ("name", "image", "product"),
    [
        (
            "osm-controller",
            "flomesh/osm-edge-controller:1.3.9",
            "osm-edge in osm-system (mesh osm)",
        ),
        ("fsm-controller", "flomesh/fsm-controller:1.5.0", "Flomesh Service Mesh in osm-system"),
    ],
)
def test_kin_of_that_mesh_are_found_too(
    empty: Cluster, name: str, image: str, product: str
) -> None:
    document = osm.workload(name, image=image)
    document["metadata"]["labels"] = {"app": name, "meshName": "osm"}
    empty.kubectl("create", "namespace", "osm-system")
    assert empty.apply(document).exit_code == 0
    done = towpath(empty, "install")

    assert done.exit_code == 1
    assert product in done.error


def test_another_towpath_is_found_too(empty: Cluster) -> None:
    other = ("--osm-namespace", "towpath-system")
    assert towpath(empty, "install", "--mesh-name", "blue", *other).exit_code == 0
    stopped = towpath(empty, "install")
    allowed = towpath(empty, "install", "--allow-other-meshes")
    definitions = towpath(empty, "uninstall", "-a", "-f", "--allow-other-meshes")

    assert "Towpath in towpath-system (mesh blue): Deployment towpath" in stopped.error
    assert allowed.exit_code == 0, allowed.error
    assert "needs the definitions and every policy" in definitions.error


def test_objects_of_others_that_have_our_names_are_named_and_left(empty: Cluster) -> None:
    empty.kubectl("create", "namespace", "osm-system")
    where = ("-n", "osm-system", "--field-manager=somebody")
    made = empty.kubectl("create", "configmap", "preset-mesh-config", "--from-literal=a=b", *where)
    assert made.exit_code == 0, made.error
    done = towpath(empty, "install")
    empty.kubectl("create", "serviceaccount", "towpath", *where)
    taken = towpath(empty, "install", "--take-ownership")
    definitions = empty.kubectl("get", "crd", "-o", "name").out

    unlabelled = "it has no label app.kubernetes.io/name: towpath"
    said = f"ConfigMap osm-system/preset-mesh-config: {unlabelled}; written by somebody"
    assert said in done.error
    assert "--take-ownership replaces them" in done.error
    assert taken.exit_code == 1
    assert f"ServiceAccount osm-system/towpath: {unlabelled}" in taken.error
    assert "" == definitions


def test_all_that_was_made_goes_in_other_namespaces_too(empty: Cluster) -> None:
    assert towpath(empty, "install").exit_code == 0
    empty.kubectl("create", "namespace", "shop")
    issued = towpath(empty, "certificates", "sidecar", "shop/till")
    assert issued.exit_code == 0, issued.error
    other = ("create", "secret", "generic", "towpath-sidecar-other", "-n", "shop")
    assert empty.kubectl(*other).exit_code == 0
    refused = towpath(empty, "certificates", "sidecar", "shop/other")
    removed = towpath(empty, "uninstall", "-f", "-a")
    secrets = empty.kubectl("get", "secret", "-A", "-o", "name").out.split()

    assert "Secret shop/towpath-sidecar-other is not Towpath's" in refused.error
    assert removed.exit_code == 0, removed.error
    assert "  deleted   Secret shop/towpath-sidecar-till" in removed.out
    assert ["secret/towpath-sidecar-other"] == secrets


def test_a_meshconfig_that_people_made_stays(empty: Cluster) -> None:
    assert towpath(empty, "install").exit_code == 0
    config: Any = empty.kubectl("get", *osm.CONFIG, "-o", "json").json()
    empty.kubectl("delete", *osm.CONFIG)
    for name in ("labels", "resourceVersion", "uid"):
        del config["metadata"][name]
    assert empty.apply(config).exit_code == 0
    removed = towpath(empty, "uninstall", "-f")

    assert "  kept      MeshConfig osm-system/osm-mesh-config (it has no label" in removed.out
    assert empty.kubectl("get", *osm.CONFIG).exit_code == 0


def test_a_namespace_with_more_in_it_is_not_deleted(empty: Cluster) -> None:
    assert towpath(empty, "install", "--osm-namespace", "briefly").exit_code == 0
    empty.kubectl("create", "configmap", "notes", "-n", "briefly")
    arguments = ("uninstall", "-f", "--osm-namespace", "briefly", "--delete-namespace")
    refused = towpath(empty, *arguments)
    empty.kubectl("delete", "configmap", "notes", "-n", "briefly")
    done = towpath(empty, *arguments)

    assert "has more in it than Towpath: configmaps/notes" in refused.error
    assert done.exit_code == 0, done.error
    assert "  deleted   Namespace briefly" in done.out


def test_the_meshconfig_is_there_when_install_returns(empty: Cluster) -> None:
    installed = towpath(empty, "install", "--set", "osm.enableEgress=true")
    switch = '{"spec":{"traffic":{"enableEgress":false}}}'
    patched = empty.kubectl("patch", *osm.CONFIG, "-p", switch, "--type=merge")
    config = empty.kubectl("get", *osm.CONFIG, "-o", "json").json()

    assert installed.exit_code == 0, installed.error
    assert patched.exit_code == 0, patched.error
    traffic = config["spec"]["traffic"]
    assert (False, True) == (
        traffic["enableEgress"],
        traffic["enablePermissiveTrafficPolicyMode"],
    )
    assert [] == [entry for value in traffic.values() if isinstance(value, list) for entry in value]
