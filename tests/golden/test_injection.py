"""Golden cases of injection: what a pod becomes, by what patch, with what files, and what is said.

`in.yaml` has a namespace, at most one MeshConfig, and one pod. Of the bootstrap stands in a file
what is the pod's own: what answers the kubelet.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.json_patch import applied
from towpath.inject.decide import decide
from towpath.inject.names import BOOTSTRAP, CREDENTIAL, REDIRECT
from towpath.inject.patch import json_patch
from towpath.inject.pod import Injected, Installation, inject
from towpath.inject.shape import checked
from towpath.model.meshconfig import MeshConfig
from towpath.model.workloads import Namespace
from towpath.sources.decode import decode

if TYPE_CHECKING:
    from conftest import Golden

CASES = sorted(path.parent for path in (Path(__file__).parent / "injection").glob("*/in.yaml"))
INSTALLATION = Installation(
    version="1.2.3",
    image="envoyproxy/envoy:distroless-v1.40.0",
    init_image="towpath:0.1.0",
    bootstrap={"node": {}, "static_resources": {"clusters": [{"name": "control-plane"}]}},
    credential={"resources": []},
)


@pytest.fixture(params=CASES, ids=lambda folder: folder.name)
def case(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


def test_what_a_pod_becomes(case: Path, golden: Golden) -> None:
    pod, injected = _injected(case)
    result = injected.pod
    patch = json_patch(pod, result)
    annotations = result["metadata"]["annotations"]
    assert result == applied(patch, pod)

    golden.check("out.pod.yaml", _yaml(_shown(result)))
    paths = [f"{one['op']} {one['path']}\n" for one in patch]
    golden.check("out.patch.txt", "".join(paths))
    golden.check("out.redirect.rules", annotations.get(REDIRECT, "none\n"))
    static = json.loads(annotations[BOOTSTRAP])["static_resources"]
    assert {"name": "control-plane"} == static["clusters"].pop(0)
    if static["clusters"]:
        golden.check("out.probes.yaml", _yaml(static))
    if injected.remarks:
        golden.check("out.remarks.txt", "".join(f"{remark}\n" for remark in injected.remarks))


def test_an_injected_pod_is_left_as_it_is(case: Path) -> None:
    before, injected = _injected(case)
    _, again = _injected(case, injected.pod)

    assert [] == json_patch(injected.pod, again.pod)
    assert json.dumps(_injected(case, before)[1].pod) == json.dumps(injected.pod)


def test_and_so_is_one_that_an_api_server_has_filled_in(case: Path) -> None:
    _, injected = _injected(case)
    full = copy.deepcopy(injected.pod)
    for container in (*full["spec"]["initContainers"], *full["spec"]["containers"]):
        container["imagePullPolicy"] = "IfNotPresent"
        container.setdefault("volumeMounts", []).append(
            {"name": "kube-api-access", "mountPath": "/t"}
        )
        for field in ("livenessProbe", "readinessProbe", "startupProbe"):
            if question := container.get(field, {}).get("httpGet"):
                question["scheme"] = "HTTP"
    for volume in full["spec"]["volumes"]:
        if "projected" in volume:
            volume["projected"]["defaultMode"] = 420
    full["spec"]["dnsPolicy"] = "ClusterFirst"

    assert [] == json_patch(full, _injected(case, full)[1].pod)


def test_a_container_that_comes_later_is_injected_too(case: Path) -> None:
    """As from another webhook, behind ours."""
    before, injected = _injected(case)
    late = {
        "name": "late",
        "image": "late",
        "livenessProbe": {"httpGet": {"path": "/late", "port": 7}},
    }
    after = copy.deepcopy(injected.pod)
    after["spec"]["containers"].append(late)
    wanted = copy.deepcopy(before)
    wanted["spec"]["containers"].append(late)

    assert _injected(case, wanted)[1].pod == _injected(case, after)[1].pod


def _injected(case: Path, pod: dict[str, Any] | None = None) -> tuple[dict[str, Any], Injected]:
    values: dict[type, Any] = {MeshConfig: MeshConfig()}
    for document in yaml.safe_load_all((case / "in.yaml").read_text()):
        if document["kind"] == "Pod":
            pod = pod or document
        else:
            value = decode(document, "").value
            values[type(value)] = value
    assert pod is not None
    namespace, config = values[Namespace], values[MeshConfig]
    before = copy.deepcopy(pod)
    decision = decide(checked(pod), namespace, mesh_name="osm", osm_namespace="osm-system")
    assert decision.injects
    injected = inject(pod, namespace, config, INSTALLATION)
    assert before == pod
    return pod, injected


def _shown(pod: dict[str, Any]) -> dict[str, Any]:
    """The pod, without the files that stand elsewhere."""
    shown = copy.deepcopy(pod)
    for name in (BOOTSTRAP, CREDENTIAL, REDIRECT):
        if name in shown["metadata"]["annotations"]:
            shown["metadata"]["annotations"][name] = "..."
    return shown


def _yaml(value: Any) -> str:
    return yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False, width=100)
