"""Whom API servers trust as the webhook: written where it is something else, and nowhere else."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from towpath.status.ca_bundle import CaBundle

ROOTS = b"-----BEGIN CERTIFICATE-----\n"
BUNDLE = base64.b64encode(ROOTS).decode()


class Api:
    """One configuration, and what was asked of it."""

    def __init__(self, *bundles: str | None) -> None:
        self.patches: list[Any] = []
        self._webhooks = [
            {"name": str(index), "clientConfig": {} if one is None else {"caBundle": one}}
            for index, one in enumerate(bundles)
        ]

    async def get(self, path: str, _query: object) -> bytes:
        assert path.endswith("/mutatingwebhookconfigurations/towpath")
        return json.dumps({"webhooks": self._webhooks}).encode()

    async def json_patch(self, _path: str, operations: Any, *, manager: str) -> bytes:
        assert "towpath" == manager
        self.patches.append(operations)
        return b"{}"


def keeper(api: Api, roots: bytes | None = ROOTS) -> CaBundle:
    return CaBundle(api, lease=None, name="towpath", roots=lambda: roots)  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [None, "", "Zm9v"])
async def test_what_is_not_right_is_written(before: str | None) -> None:
    api = Api(BUNDLE, before)
    await keeper(api).look()

    at = "/webhooks/1"
    expected = [
        {"op": "test", "path": f"{at}/name", "value": "1"},
        {"op": "add", "path": f"{at}/clientConfig/caBundle", "value": BUNDLE},
    ]
    assert [expected] == api.patches


async def test_what_is_right_is_left_alone() -> None:
    api = Api(BUNDLE)
    await keeper(api).look()

    assert [] == api.patches


async def test_without_roots_nothing_is_written() -> None:
    api = Api(None)
    await keeper(api, None).look()

    assert [] == api.patches
