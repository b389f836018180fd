"""The shapes of Open Service Mesh's demos: what `towpath problems` says of all of them together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from towpath.cli import main
from towpath.model.codes import Reason, Severity

DEMOS = Path(__file__).parent / "demos"
RATE_LIMITS = "UpstreamTrafficSetting http-circuit-breaking"
NOT_SUPPORTED = {
    ("MeshConfig osm-mesh-config", "spec.traffic.inboundExternalAuthorization"),
    (RATE_LIMITS, "spec.rateLimit.global"),
    (RATE_LIMITS, "spec.httpRoutes[0].rateLimit.global"),
}
GATEWAY = ("MeshConfig osm-mesh-config", "spec.certificate.ingressGateway")


def test_nothing_is_unsupported_but_global_rate_limits_and_external_authorization() -> None:
    assert NOT_SUPPORTED == _said(DEMOS, reason=Reason.NOT_SUPPORTED)


def test_and_the_certificate_of_a_gateway_without_a_sidecar(tmp_path: Path) -> None:
    gateway = {
        "secret": {"name": "osm-nginx-client-cert", "namespace": "osm-system"},
        "subjectAltNames": ["ingress-nginx.ingress-nginx.cluster.local"],
        "validityDuration": "24h",
    }
    folder = _changed(tmp_path, {"certificate": {"ingressGateway": gateway}})

    assert NOT_SUPPORTED | {GATEWAY} == _said(folder, reason=Reason.NOT_SUPPORTED)


def test_without_external_authorization_nothing_is_wrong_but_what_is_not_supported(
    tmp_path: Path,
) -> None:
    traffic = {"inboundExternalAuthorization": {"enable": False}}
    folder = _changed(tmp_path, {"traffic": traffic})

    assert {one for one in NOT_SUPPORTED if one[0] == RATE_LIMITS} == _said(folder)


def test_in_permissive_mode_targets_are_all_that_has_no_effect(tmp_path: Path) -> None:
    off = {"enable": False}
    traffic = {
        "enablePermissiveTrafficPolicyMode": True,
        "inboundExternalAuthorization": off,
    }
    folder = _changed(tmp_path, {"traffic": traffic})

    assert {"TrafficTarget"} == {
        name.split()[0] for name, _ in _said(folder, reason=Reason.NOT_ENABLED)
    }


def _said(folder: Path, *, reason: Reason | None = None) -> set[tuple[str, str]]:
    """The object and field of each Problem of that reason; of all that matter, if there is none."""
    arguments = ("problems", "--manifests", str(folder), "-o", "json")
    listed: list[dict[str, Any]] = json.loads(CliRunner().invoke(main, arguments).stdout)[
        "problems"
    ]
    return {
        (f"{one['kind']} {one['name']}", one.get("field", ""))
        for one in listed
        if (one["reason"] == reason if reason else one["severity"] != Severity.INFO)
    }


def _changed(tmp_path: Path, spec: dict[str, Any]) -> Path:
    """The demos with another MeshConfig."""
    folder = Path(shutil.copytree(DEMOS, tmp_path / "demos"))
    config = yaml.safe_load((folder / "mesh.yaml").read_text())
    for section, fields in spec.items():
        config["spec"][section] |= fields
    (folder / "mesh.yaml").write_text(yaml.safe_dump(config))
    return folder
