"""CaBundle: whom API servers trust as the injection webhook, kept right by one replica of all."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

from towpath.kubeapi.client import KubeApi, KubeApiError, needing
from towpath.kubeapi.lease import Lease
from towpath.kubeapi.paths import WEBHOOKS
from towpath.telemetry.once import LogOnce

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
"""For how long pods are refused at most after somebody has changed it."""


class CaBundle:
    """While it holds *lease*, writes what *roots* (PEM) says to the configuration *name* wherever
    that has something else. None: nothing is known, and nothing is written.
    """

    def __init__(
        self,
        api: KubeApi,
        *,
        lease: Lease,
        name: str,
        roots: Callable[[], bytes | None],
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._api = api
        self._lease = lease
        self._name = name
        self._roots = roots
        self._every_s = every_s
        self._failure = LogOnce(log)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            if self._lease.held:
                try:
                    await self.look()
                except KubeApiError as error:
                    what = f"MutatingWebhookConfiguration {self._name}"
                    self._failure.tell(f"caBundle of {what} is not kept right: {error}")
                else:
                    self._failure.over()
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Write it, if it is not what it should be. Raises KubeApiError."""
        roots, path = self._roots(), WEBHOOKS.path(name=self._name)
        if roots is None:
            return
        answer = await needing(self._api.get(path, {}), WEBHOOKS.grant("get"))
        changes = list(_changes(json.loads(answer), base64.b64encode(roots).decode()))
        if not changes:
            return
        await needing(
            self._api.json_patch(path, changes, manager="towpath"), WEBHOOKS.grant("patch")
        )
        log.info("wrote caBundle of MutatingWebhookConfiguration %s", self._name)


def _changes(configuration: Any, bundle: str) -> Iterator[dict[str, Any]]:
    """A JSON patch of what differs; it fails if the webhooks are others by then."""
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        if webhook["clientConfig"].get("caBundle") != bundle:
            at = f"/webhooks/{index}"
            yield {"op": "test", "path": f"{at}/name", "value": webhook["name"]}
            yield {"op": "add", "path": f"{at}/clientConfig/caBundle", "value": bundle}
