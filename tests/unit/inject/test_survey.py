"""What `towpath check` says of each pod of the mesh."""

from __future__ import annotations

import json
from typing import Any, cast

from towpath import __version__
from towpath.inject.names import BOOTSTRAP, INJECTION, MARK, VERSION
from towpath.inject.survey import survey
from towpath.install.check import Verdict
from towpath.kubeapi.client import KubeApi, KubeApiError


class _Api:
    """An API server with these pods in the namespace `shop`, which is in the mesh."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self._pods = pods

    async def get(self, path: str, _query: dict[str, str]) -> bytes:
        if path == "/api/v1/namespaces":
            metadata = {"name": "shop", "labels": {"openservicemesh.io/monitored-by": "osm"}}
            metadata["annotations"] = {INJECTION: "enabled"}
            return json.dumps({"items": [{"metadata": metadata}]}).encode()
        if path == "/api/v1/namespaces/shop/pods":
            return json.dumps({"items": self._pods}).encode()
        raise KubeApiError(404, path)


def _pod(
    name: str, *, version: str | None = None, phase: str = "Running", **annotations: str
) -> Any:
    injected = {} if version is None else {BOOTSTRAP: "{}", VERSION: version}
    return {
        "metadata": {
            "name": name,
            "labels": {} if version is None else {MARK: "1"},
            "annotations": {**injected, **annotations},
        },
        "spec": {"containers": [{"name": "app", "image": "app"}]},
        "status": {"phase": phase},
    }


async def test_a_pod_without_a_sidecar_or_with_another_versions_is_named() -> None:
    api = _Api(
        _pod("right", version=__version__),
        _pod("older", version="0.0.1"),
        _pod("by-nobody", version=""),
        _pod("before"),
        _pod("ended", phase="Succeeded"),
        _pod("never", **{INJECTION: "no"}),
        _pod("odd", **{INJECTION: "maybe"}),
    )
    finding = await survey(cast("KubeApi", api), "osm-system")

    text = "4 of 5 pods are not injected by this version: create them again"
    assert (Verdict.BAD, text) == (finding.verdict, finding.text)
    *named, odd = finding.details
    assert [
        "shop/older was injected by version 0.0.1",
        "shop/by-nobody was injected by version unknown",
        "shop/before has no sidecar",
    ] == named
    assert odd.startswith(
        f'shop/odd would be refused: annotation {INJECTION} of the pod is "maybe"'
    )


async def test_pods_of_this_version_are_right() -> None:
    finding = await survey(cast("KubeApi", _Api(_pod("right", version=__version__))), "osm-system")

    assert (Verdict.OK, "1 pods, each injected by this version") == (finding.verdict, finding.text)
