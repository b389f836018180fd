"""KubeSource: keeps a store equal to a cluster, and serves on what it has while the API is away."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from towpath.kubeapi import KubeApi
from towpath.model.mesh import Object
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.sources.decode import decode
from towpath.sources.kube.kinds import Resource, resources
from towpath.sources.kube.reflector import Reflector
from towpath.store import Store

log = logging.getLogger(__name__)

Raw = dict[str, Any]


class KubeSource:
    """One reflector for each kind; *clock* is monotonic, in seconds."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        *,
        osm_namespace: str,
        clock: Callable[[], float] = time.monotonic,
        dice: random.Random | None = None,
    ) -> None:
        self._api = api
        self._store = store
        self._clock = clock
        self._dice = dice or random.Random()  # noqa: S311 - spreads load, keeps no secret
        self._resources = resources(osm_namespace)
        self._failing: dict[Kind, str] = {}
        self._stale_since: float | None = None
        self._synced: set[Kind] = set()
        self._reported: dict[Kind, set[ObjectRef]] = {}

    async def run(self) -> None:
        """Follow the cluster until cancelled, and close the connections then."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for resource in self._resources:
                    reflector = Reflector(self._api, resource, self, dice=self._dice)
                    tasks.create_task(reflector.run())
        finally:
            await self._api.close()

    def stale_seconds(self) -> float:
        """For how long a kind could not be watched; 0 while all can."""
        return 0.0 if self._stale_since is None else self._clock() - self._stale_since

    def replaced(self, resource: Resource, objects: Iterable[Raw]) -> None:
        """All objects of a kind; the store finds what differs from what it has."""
        self._synced.add(resource.kind)
        seen: set[ObjectRef] = set()
        values: list[Object] = []
        for raw in objects:
            found = decode(raw, "")
            seen.add(found.ref)
            self._report(found.ref, found.problems)
            if found.value is not None:
                values.append(found.value)
        for gone in self._reported.get(resource.kind, set()) - seen:
            self._report(gone, ())
        self._reported[resource.kind] = seen
        self._store.replace_all(resource.kind, values)

    def changed(self, resource: Resource, raw: Raw) -> None:
        found = decode(raw, "")
        self._reported.setdefault(resource.kind, set()).add(found.ref)
        self._report(found.ref, found.problems)
        if found.value is not None:
            self._store.apply(found.value)
        else:
            # What it has become cannot be used; what it was must not stay.
            self._store.delete(resource.kind, found.ref.namespace, found.ref.name)

    def deleted(self, resource: Resource, raw: Raw) -> None:
        metadata = raw["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        ref = ObjectRef(resource.kind, namespace, name)
        self._reported.get(resource.kind, set()).discard(ref)
        self._report(ref, ())
        self._store.delete(resource.kind, namespace, name)

    def absent(self, resource: Resource) -> None:
        """A kind that is not installed has no objects; one that vanishes later is stale."""
        if resource.kind in self._synced:
            self.failing(resource, "its CustomResourceDefinition is gone", alone=True)
        else:
            self._store.listed(resource.kind)
            self.working(resource)

    def failing(self, resource: Resource, why: str, *, alone: bool) -> None:
        """Say it once: of the kind if it fails alone, else of the API server for all of them."""
        if alone and self._failing.get(resource.kind) != why:
            log.warning("%s cannot be watched: %s", resource.kind, why)
        elif not alone and self._stale_since is None:
            log.warning("%s; serving what was last seen", why)
        if self._stale_since is None:
            self._stale_since = self._clock()
        self._failing[resource.kind] = why if alone else ""

    def working(self, resource: Resource) -> None:
        self._failing.pop(resource.kind, None)
        if not self._failing and self._stale_since is not None:
            log.info("every kind is watched again, after %.1f s", self.stale_seconds())
            self._stale_since = None

    def _report(self, ref: ObjectRef, problems: Iterable[Problem]) -> None:
        self._store.report(("kube", ref), problems)
