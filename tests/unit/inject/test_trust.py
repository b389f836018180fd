"""Whom the sidecars of injected pods trust: what is read of their bootstraps."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any, cast

import pytest

from support.authorities import issuer, pem
from towpath.encode.envoy.token_login import TokenFiles, token_bootstrap
from towpath.inject.names import BOOTSTRAP
from towpath.inject.trust import pods_trust
from towpath.kubeapi.client import KubeApi

FILES = TokenFiles(PurePosixPath("/run/token"), PurePosixPath("/run/credential"))
OLD, NEW = issuer().certificate, issuer().certificate


class _Api:
    """An API server with these pods."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self._pods = pods

    async def get(self, path: str, query: dict[str, str]) -> bytes:
        if path == "/api/v1/namespaces":
            assert query == {"labelSelector": "openservicemesh.io/monitored-by=osm"}
            return json.dumps({"items": [{"metadata": {"name": "shop"}}]}).encode()
        assert ("/api/v1/pods", {"labelSelector": "openservicemesh.io/mtls"}) == (path, query)
        return json.dumps({"items": self._pods}).encode()


def _pod(
    name: str, bootstrap: str | None, *, phase: str = "Running", in_namespace: str = "shop"
) -> dict[str, Any]:
    annotations = {} if bootstrap is None else {BOOTSTRAP: bootstrap}
    metadata = {"namespace": in_namespace, "name": name, "annotations": annotations}
    return {"metadata": metadata, "status": {"phase": phase}}


def _bootstrap(roots: bytes | PurePosixPath) -> str:
    return json.dumps(token_bootstrap(("towpath.osm-system", 15129), roots, FILES))


async def test_each_injected_pod_has_the_roots_of_its_bootstrap() -> None:
    api = _Api(
        _pod("old", _bootstrap(pem(OLD))),
        _pod("both", _bootstrap(pem(NEW, OLD))),
        _pod("ended", _bootstrap(pem(OLD)), phase="Succeeded"),
        _pod("by-hand", None),
        _pod("elsewhere", "junk", in_namespace="other"),
    )
    expected = {"shop/old": (OLD,), "shop/both": (NEW, OLD)}
    assert expected == await pods_trust(cast("KubeApi", api), "osm")


@pytest.mark.parametrize(
    "bootstrap",
    [
        "",
        "{",
        "[]",
        '{"trusted_ca": 1}',
        '{"trusted_ca": {"inline_string": "no certificate"}}',
        "[" * 100_000,
        _bootstrap(PurePosixPath("/etc/ca.crt")),
    ],
    ids=["empty", "cut", "list", "number", "text", "deep", "file"],
)
async def test_a_pod_whose_bootstrap_says_nothing_trusts_nobody(bootstrap: str) -> None:
    api = _Api(_pod("odd", bootstrap), _pod("new", _bootstrap(pem(NEW))))

    assert {"shop/odd": (), "shop/new": (NEW,)} == await pods_trust(cast("KubeApi", api), "osm")
