"""What `towpath uninstall` must not take away from others."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import click
import pytest

from towpath.cli.uninstall import refuse_beside_others
from towpath.kubeapi.client import KubeApi


class _Api:
    """A cluster with control planes in these namespaces."""

    def __init__(self, *namespaces: str) -> None:
        self._items = [{"metadata": {"name": "towpath", "namespace": one}} for one in namespaces]

    async def get(self, path: str, query: dict[str, Any]) -> bytes:
        assert "/apis/apps/v1/deployments" == path
        assert {"labelSelector": "app.kubernetes.io/name=towpath"} == query
        return json.dumps({"items": self._items}).encode()


def _refuse(*namespaces: str) -> None:
    api = cast("KubeApi", _Api(*namespaces))
    asyncio.run(refuse_beside_others(api, "osm-system"))


def test_the_definitions_stay_while_another_control_plane_needs_them() -> None:
    with pytest.raises(click.ClickException, match="blue has a control plane too"):
        _refuse("osm-system", "blue")


def test_the_last_control_plane_may_take_the_definitions_along() -> None:
    _refuse("osm-system")
    _refuse()
