"""KubeSource: keeps a store equal to a cluster, and serves on what it has while the API is away."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

from towpath.kubeapi.client import KubeApi
from towpath.model.mesh import Object
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem, Reason
from towpath.sources.decode import Decoded
from towpath.sources.kube.kinds import Resource, resources
from towpath.sources.kube.outage import Outage
from towpath.sources.kube.pace import Pace
from towpath.sources.kube.reflector import Reflector

ORIGIN = "kube"
"""The name under which this source reports its Problems, with what they are about."""


class Store(Protocol):
    """What the source needs of a store."""

    def replace_all(self, kind: Kind, objects: Iterable[Object]) -> None: ...
    def apply(self, obj: Object) -> None: ...
    def delete(self, kind: Kind, namespace: str, name: str) -> None: ...
    def report(self, origin: Hashable, problems: Iterable[Problem]) -> None: ...


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
        pace: Pace | None = None,
    ) -> None:
        self._store = store
        self._outage = Outage(clock)
        self._replaced: set[Kind] = set()
        self._troubled: dict[Kind, set[ObjectRef]] = {kind: set() for kind in Kind}
        self._reflectors = [
            Reflector(
                api,
                resource,
                self,
                self._outage,
                clock=clock,
                dice=dice or random.Random(),  # noqa: S311 - spreads load, keeps no secret
                pace=pace or Pace(),
            )
            for resource in resources(osm_namespace)
        ]

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for reflector in self._reflectors:
                tasks.create_task(reflector.run())

    def stale_seconds(self) -> float:
        """For how long a kind could not be followed; 0 while all can."""
        return self._outage.stale_seconds()

    def replaced(self, resource: Resource, objects: Iterable[Decoded]) -> None:
        """All objects of a kind; the store finds what differs from what it has."""
        kind = resource.kind
        self._replaced.add(kind)
        before, self._troubled[kind] = self._troubled[kind], set()
        values: list[Object] = []
        for found in objects:
            self._report(kind, found)
            if found.value is not None:
                values.append(found.value)
        for ref in before - self._troubled[kind]:
            self._store.report((ORIGIN, ref), ())
        self._store.replace_all(kind, values)

    def changed(self, resource: Resource, found: Decoded) -> None:
        self._report(resource.kind, found)
        if found.value is not None:
            self._store.apply(found.value)
        else:
            # What it has become cannot be used; what it was must not stay.
            self._store.delete(resource.kind, found.ref.namespace, found.ref.name)

    def deleted(self, resource: Resource, ref: ObjectRef) -> None:
        self._report(resource.kind, Decoded(ref))
        self._store.delete(resource.kind, ref.namespace, ref.name)

    def absent(self, resource: Resource) -> bool:
        """A kind that is not installed has no objects; one that vanishes later is stale."""
        kind, before = resource.kind, resource.kind in self._replaced
        if before:
            self._of_kind(resource, Reason.MISSING, f"is gone; each {kind} last seen is served")
            return False
        self._store.replace_all(kind, ())
        self._outage.working(kind)
        self._of_kind(resource, Reason.MISSING, f"is not installed, so there is no {kind}")
        return True

    def refused(self, resource: Resource, why: str) -> None:
        self._of_kind(resource, Reason.FORBIDDEN, why)

    def working(self, resource: Resource) -> None:
        self._outage.working(resource.kind)
        self._store.report((ORIGIN, resource.kind), ())

    def _of_kind(self, resource: Resource, reason: Reason, message: str) -> None:
        what = "CustomResourceDefinition" if resource.custom else "APIResource"
        ref = ObjectRef(what, "", resource.collection.full_name)
        self._store.report((ORIGIN, resource.kind), (Problem(ref, "", reason, message),))

    def _report(self, kind: Kind, found: Decoded) -> None:
        """Replace what was wrong with an object by what is; most objects never have a Problem."""
        troubled = self._troubled[kind]
        if found.problems:
            troubled.add(found.ref)
        elif found.ref in troubled:
            troubled.discard(found.ref)
        else:
            return
        self._store.report((ORIGIN, found.ref), found.problems)
