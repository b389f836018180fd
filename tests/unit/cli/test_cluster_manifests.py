"""What a cluster holds once a folder of manifests is applied to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from towpath.cli.cluster_manifests import applied, write_manifests

POLICY = "policy.openservicemesh.io/v1alpha1"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80}]},
}


def _egress(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": POLICY,
        "kind": "Egress",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec,
    }


def _folder(tmp_path: Path, *objects: dict[str, Any]) -> Path:
    (tmp_path / "all.json").write_text(json.dumps({"kind": "List", "items": objects}))
    return tmp_path


def test_what_the_folder_does_not_have_stays(tmp_path: Path) -> None:
    present = [_egress("a", hosts=["a.test"]), _egress("b", hosts=["b.test"])]
    folder = _folder(tmp_path, _egress("b", hosts=["c.test"]))

    assert [present[0], _egress("b", hosts=["c.test"])] == applied(present, folder, "osm-system")


def test_pruning_takes_policies_of_the_folders_namespaces_and_nothing_else(tmp_path: Path) -> None:
    config = {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config", "namespace": "shop"},
    }
    elsewhere = _egress("a")
    elsewhere["metadata"]["namespace"] = "other"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
    present = [_egress("a"), _egress("b"), SERVICE, config, elsewhere]
    folder = _folder(tmp_path, _egress("b"))

    assert [SERVICE, config, elsewhere, _egress("b")] == applied(
        present, folder, "shop", prune=True
    )

    folder = _folder(tmp_path, namespace)
    kept = [*present[:4], namespace]
    assert kept == applied(present, folder, "shop", prune=True)


def test_a_policy_is_what_its_manifest_says_in_whole(tmp_path: Path) -> None:
    present = [_egress("a", hosts=["a.test"], matches=[{"name": "get"}])]
    folder = _folder(tmp_path, _egress("a", hosts=["a.test"]))

    assert [_egress("a", hosts=["a.test"])] == applied(present, folder, "osm-system")


def test_a_service_keeps_the_address_that_its_manifest_cannot_have(tmp_path: Path) -> None:
    ports = [{"port": 81}]
    folder = _folder(tmp_path, {**SERVICE, "spec": {"ports": ports}})

    (service,) = applied([SERVICE], folder, "osm-system")

    assert {"clusterIP": "10.96.0.7", "ports": ports} == service["spec"]


def test_a_version_or_a_namespace_left_out_makes_no_other_object(tmp_path: Path) -> None:
    present = [_egress("a"), _egress("b")]
    present[1]["metadata"]["namespace"] = "default"
    newer = {**_egress("a", hosts=["x"]), "apiVersion": "policy.openservicemesh.io/v1"}
    bare = _egress("b", hosts=["y"])
    del bare["metadata"]["namespace"]

    assert [newer, bare] == applied(present, _folder(tmp_path, newer, bare), "osm-system")


def test_many_objects_are_many_files_that_are_read_back(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    big = [_egress(f"e{n}", hosts=["x" * 1_000_000]) for n in range(9)]
    write_manifests(big, target)

    files = sorted(target.iterdir())
    assert 2 <= len(files)
    assert big == [one for file in files for one in json.loads(file.read_text())["items"]]
    assert big == applied([], target, "osm-system")
