"""Preset: the MeshConfig's beginning, made by one replica of all if there is none."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from towpath.backoff import Backoff
from towpath.kubeapi.client import KubeApi, KubeApiError, needing
from towpath.kubeapi.lease import Lease
from towpath.kubeapi.paths import CONFIG_MAPS
from towpath.kubeapi.preset import CONFIGS, KEY, PRESET, first_mesh_config
from towpath.model.meshconfig import MESH_CONFIG_NAME as CONFIG
from towpath.telemetry.once import LogOnce

log = logging.getLogger(__name__)

RETRY_S = 2.0
LONGEST_PAUSE_S = 60.0


class UnusablePreset(Exception):
    """The ConfigMap is not what a MeshConfig can be made of; the message says why."""


class Preset:
    """Creates the MeshConfig once, from the ConfigMap beside it, and never changes one.

    It does so when it holds *lease* for the first time: a MeshConfig that is deleted later stays
    deleted while this replica leads.
    """

    def __init__(self, api: KubeApi, *, lease: Lease, namespace: str) -> None:
        self._api = api
        self._lease = lease
        self._namespace = namespace
        self._failure = LogOnce(log)

    async def run(self) -> None:
        """Return when there is a MeshConfig, or nothing to make it of."""
        backoff = Backoff(first_s=RETRY_S, longest_s=LONGEST_PAUSE_S)
        pause_s = RETRY_S
        while True:
            if self._lease.held:
                try:
                    await self._create()
                except UnusablePreset as error:
                    self._failure.tell(f"no MeshConfig is created: {error}")
                except KubeApiError as error:
                    name = f"{self._namespace}/{CONFIG}"
                    self._failure.tell(f"the MeshConfig {name} is not created: {error}")
                else:
                    return
                pause_s = backoff.next()
            await asyncio.sleep(pause_s)

    async def _create(self) -> None:
        spec = await self._spec()
        if spec is None:
            return
        written = self._api.write(
            "POST",
            CONFIGS.path(self._namespace),
            first_mesh_config(self._namespace, spec),
            query={"fieldManager": "towpath"},
        )
        try:
            await needing(written, CONFIGS.grant("create"))
        except KubeApiError as error:
            if error.conflict:
                return  # there is one: it is people's
            raise
        log.info("created the MeshConfig %s/%s from %s", self._namespace, CONFIG, PRESET)

    async def _spec(self) -> dict[str, Any] | None:
        """What the ConfigMap has; None without one, so that a MeshConfig may be applied instead."""
        where = f"ConfigMap {self._namespace}/{PRESET}"
        read = self._api.get(CONFIG_MAPS.path(self._namespace, PRESET), {})
        try:
            answer = await needing(read, CONFIG_MAPS.grant("get"))
        except KubeApiError as error:
            if error.not_found:
                return None
            raise
        try:
            spec = json.loads((json.loads(answer).get("data") or {})[KEY])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise UnusablePreset(f"{where} has no JSON under {KEY}: {error}") from error
        if not isinstance(spec, dict):
            raise UnusablePreset(f"{where}: {KEY} is not a JSON object")
        return spec
