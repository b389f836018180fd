"""`towpath injection`: what is printed, what is said beside it, and the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from towpath.cli import main
from towpath.sources.decode.workloads import PLACES

POD = {"metadata": {}, "spec": {"containers": [{"name": "web", "image": "web"}]}}
NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {openservicemesh.io/monitored-by: osm}
  annotations: {openservicemesh.io/sidecar-injection: enabled}
---
"""


def workload(kind: str, **annotations: str) -> dict[str, Any]:
    pod = {"metadata": {"annotations": annotations}, "spec": POD["spec"]}
    value: dict[str, Any] = pod
    for name in reversed(PLACES[kind]):
        value = {name: value}
    metadata = {**value.get("metadata", {}), "name": "web", "namespace": "shop"}
    return {"apiVersion": "v1", "kind": kind, **value, "metadata": metadata}


def typed(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["injection", *arguments], input=stdin)


@pytest.mark.parametrize("kind", PLACES)
def test_every_kind_that_makes_pods(kind: str) -> None:
    before = workload(kind)
    done = typed("-f", "-", stdin=NAMESPACE + yaml.safe_dump(before))

    assert (0, "") == (done.exit_code, done.stderr)
    (after,) = yaml.safe_load_all(done.stdout)
    assert before.keys() == after.keys()
    for name in PLACES[kind]:
        after = after[name]
    assert ["osm-init", "envoy"] == [c["name"] for c in after["spec"]["initContainers"]]
    assert "1" == after["metadata"]["labels"]["openservicemesh.io/mtls"]


def test_why_something_is_left_alone_and_why_refused(tmp_path: Path) -> None:
    injection = "openservicemesh.io/sidecar-injection"
    documents = (
        workload("Pod", **{injection: "no"}),
        workload("Job", **{injection: "perhaps"}),
        workload("Deployment", **{"openservicemesh.io/outbound-port-exclusion-list": "x"}),
        workload("DaemonSet"),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}},
    )
    (tmp_path / "in.yaml").write_text(NAMESPACE + yaml.safe_dump_all(documents))
    done = typed("--manifests", str(tmp_path))

    assert 1 == done.exit_code
    assert ["Pod", "DaemonSet"] == [one["kind"] for one in yaml.safe_load_all(done.stdout)]
    alone, first, second = done.stderr.splitlines()
    assert f"Pod shop/web: no sidecar: its annotation {injection} says so" == alone
    assert first.startswith(
        f'Job shop/web: refused: annotation {injection} of the pod is "perhaps"'
    )
    assert second.startswith("Deployment shop/web: refused: annotation openservicemesh.io/outbound")


def test_a_difference_has_the_lines_that_are_new() -> None:
    done = typed("-f", "-", "-o", "diff", stdin=yaml.safe_dump(workload("Pod")))

    lines = done.stdout.splitlines()
    assert ["--- before", "+++ injected"] == lines[:2]
    assert "+  - name: envoy" in lines
    assert not [line for line in lines[2:] if line.startswith("-") and "annotations" not in line]
    assert done.stderr.startswith("Pod shop/web: namespace shop is not here: ")


def test_a_folder_gives_namespaces_and_config_to_a_file(tmp_path: Path) -> None:
    config = {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
        "spec": {"traffic": {"outboundPortExclusionList": [25, "x"]}},
    }
    (tmp_path / "mesh.yaml").write_text(NAMESPACE + yaml.safe_dump_all([config, workload("Job")]))
    done = typed("--manifests", str(tmp_path), "-f", "-", stdin=yaml.safe_dump(workload("Pod")))

    (after,) = yaml.safe_load_all(done.stdout)
    redirect = after["metadata"]["annotations"]["openservicemesh.io/redirect"]
    assert "--dports 25 -j RETURN" in redirect
    assert "outboundPortExclusionList[1]: Invalid" in done.stderr


def test_roots_stand_in_the_bootstrap(tmp_path: Path) -> None:
    roots = tmp_path / "ca.crt"
    roots.write_text("-----BEGIN CERTIFICATE-----\n")
    done = typed("-f", "-", "--roots", str(roots), stdin=yaml.safe_dump(workload("Pod")))

    (after,) = yaml.safe_load_all(done.stdout)
    assert "BEGIN CERTIFICATE" in after["metadata"]["annotations"]["openservicemesh.io/bootstrap"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        ((), "", "give --manifests DIR, -f FILE, or both"),
        (("-f", "-"), "", "there is nothing that could be injected"),
        (("-f", "-"), "a: [", "-:2: "),
        (
            ("-f", "-"),
            "kind: Pod\nmetadata: {name: a}\nspec: 1\n",
            "refused: the pod cannot be read",
        ),
        (("-f", "-"), "kind: Job\nspec: {}\n", "refused: spec.template is null"),
        (("-f", "/no/such"), "", "/no/such: No such file or directory"),
        (("--manifests", "/no/such"), "", "--manifests /no/such is not a folder"),
        (("-f", "-", "--roots", "/"), "kind: Pod", "/: Is a directory"),
    ],
)
def test_bad_input_is_named(arguments: tuple[str, ...], stdin: str, words: str) -> None:
    done = typed(*arguments, stdin=stdin)

    assert 0 != done.exit_code
    assert words in done.stderr
    assert "Traceback" not in done.output
