"""KubeSource: keeps a store equal to a cluster, and serves on what it has while the API is away."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from functools import partial
from typing import Protocol

from towpath.kubeapi.client import KubeApi
from towpath.model.codes import Code
from towpath.model.credentials import TokenIssuer
from towpath.model.mesh import Object
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.sources.decode import Decoded
from towpath.sources.kube.checkpoint import Picture
from towpath.sources.kube.issuer import IssuerSource
from towpath.sources.kube.keeper import Keeper
from towpath.sources.kube.kinds import ApiResource, resources
from towpath.sources.kube.outage import Outage
from towpath.sources.kube.reflector import Reflector
from towpath.sources.kube.timing import Timing
from towpath.supervision import Supervisor
from towpath.telemetry.metrics import Metrics

ORIGIN = "kube"
"""The name under which this source reports its Problems, with what they are about."""


class ObjectStore(Protocol):
    """What the source needs of a store."""

    @property
    def synced(self) -> bool: ...
    def held(self, kind: Kind) -> tuple[Object, ...]: ...
    def replace_all(self, kind: Kind, objects: Iterable[Object]) -> None: ...
    def apply(self, obj: Object) -> None: ...
    def delete(self, kind: Kind, namespace: str, name: str) -> None: ...
    def report(self, origin: Hashable, problems: Iterable[Problem]) -> None: ...


class KubeSource:
    """One reflector for each kind; *clock* is monotonic, *now* since 1970, both in seconds.

    A *keeper* keeps a checkpoint of what is held. With *tokens*, `issuer` follows who signs those
    of pods.
    """

    def __init__(
        self,
        api: KubeApi,
        store: ObjectStore,
        *,
        osm_namespace: str,
        metrics: Metrics,
        keeper: Keeper | None = None,
        tokens: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        dice: random.Random | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._supervisor = Supervisor(metrics)
        self._keeper = keeper
        self.issuer = IssuerSource(api, report=self._report_issuer) if tokens else None
        if self.issuer is not None:
            self.issuer.tell(self._issuer_changed)
        self._now = now
        self._outage = Outage(clock)
        self._seen: set[Kind] = set()  # kinds of which all objects have been seen once
        self._absent: set[Kind] = set()  # kinds that were never installed
        self._problems: dict[Kind, dict[ObjectRef, tuple[Problem, ...]]] = {k: {} for k in Kind}
        self._resources = {resource.kind: resource for resource in resources(osm_namespace)}
        self._reflectors = [
            Reflector(
                api,
                resource,
                self,
                self._outage,
                clock=clock,
                dice=dice or random.Random(),  # noqa: S311 - spreads load, keeps no secret
                timing=timing or Timing(),
            )
            for resource in self._resources.values()
        ]

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        keep = self._supervisor.keep
        async with asyncio.TaskGroup() as tasks:
            for reflector in self._reflectors:
                tasks.create_task(keep("reflector", reflector.run))
            if self.issuer is not None:
                tasks.create_task(keep("issuer", self.issuer.run))
            if (keeper := self._keeper) is not None:
                tasks.create_task(keep("checkpoint", partial(keeper.write, self)))
                tasks.create_task(keep("restore", partial(keeper.restore, self)))

    def stale_seconds(self) -> float:
        """For how long a kind could not be followed; 0 while all can."""
        return self._outage.stale_seconds()

    def replaced(self, resource: ApiResource, objects: Iterable[Decoded]) -> None:
        """All objects of a kind; the store finds what differs from what it has."""
        self._metrics.source_lists.labels(resource.kind).inc()
        self._known(resource.kind)
        self._seen.add(resource.kind)
        self._absent.discard(resource.kind)
        self._replace(resource.kind, objects)

    def changed(self, resource: ApiResource, record: Decoded) -> None:
        self._report(resource.kind, record)
        if record.value is not None:
            self._store.apply(record.value)
        else:
            # What it has become cannot be used; what it was must not stay.
            self._store.delete(resource.kind, record.ref.namespace, record.ref.name)
        self._touch()

    def deleted(self, resource: ApiResource, ref: ObjectRef) -> None:
        self._report(resource.kind, Decoded(ref))
        self._store.delete(resource.kind, ref.namespace, ref.name)
        self._touch()

    def absent(self, resource: ApiResource) -> bool:
        """A kind that is not installed has no objects; one that vanishes later is stale."""
        kind = resource.kind
        if kind in self._seen:
            self._of_kind(
                resource, Code.MISSING_DEFINITION, f"is gone; each {kind} last seen is served"
            )
            return False
        self._known(kind)
        if kind not in self._absent:
            self._absent.add(kind)
            self._replace(kind, ())
        self._outage.working(kind)
        self._of_kind(resource, Code.MISSING_DEFINITION, f"is not installed, so there is no {kind}")
        return True

    def refused(self, resource: ApiResource, why: str) -> None:
        self._of_kind(resource, Code.FORBIDDEN_KIND, why)

    def working(self, resource: ApiResource) -> None:
        self._outage.working(resource.kind)
        self._store.report((ORIGIN, resource.kind), ())

    def picture(self) -> Picture | None:
        """What is held now, for a checkpoint."""
        if not self._store.synced:
            return None
        return Picture(
            self._now() - self.stale_seconds(),
            {k: self._store.held(k) if k in self._seen else None for k in Kind},
            tuple(p for of in self._problems.values() for some in of.values() for p in some),
            self.issuer.current if self.issuer else None,
        )

    def unheard(self) -> tuple[Kind, ...] | None:
        """Kinds never seen for which the API server gives no answer; None if all have been."""
        if self._store.synced:
            return None
        certain = self._seen | self._absent
        return tuple(k for k in Kind if k not in certain and not self._outage.heard(k))

    def restore(self, kinds: tuple[Kind, ...], picture: Picture) -> None:
        """Hold what a checkpoint has of these kinds, until the API server says what there is."""
        if self.issuer is not None and self.issuer.current is None and picture.issuer is not None:
            self.issuer.use(picture.issuer)
        for kind in kinds:
            self._outage.stale(kind, self._now() - picture.seen_at)
            objects = picture.objects[kind]
            (self._absent if objects is None else self._seen).add(kind)
            records = {r: Decoded(r, value) for value in objects or () for r in (_ref(value),)}
            for problem in picture.problems:
                if problem.object.kind == kind:
                    old = records.get(problem.object, Decoded(problem.object))
                    records[old.ref] = replace(old, problems=(*old.problems, problem))
            self._replace(kind, records.values())

    def report(self, problem: Problem | None) -> None:
        """Say that the checkpoint is what is served, or (None) that it is not any more."""
        self._store.report((ORIGIN, "checkpoint"), () if problem is None else (problem,))

    def _issuer_changed(self, _: TokenIssuer) -> None:
        self._touch()

    def _report_issuer(self, problems: Iterable[Problem]) -> None:
        self._store.report((ORIGIN, "issuer"), problems)

    def _known(self, kind: Kind) -> None:
        """The API server has said which objects of the kind there are."""
        if self._keeper is not None and self._keeper.listed(kind):
            self.report(None)

    def _touch(self) -> None:
        if self._keeper is not None:
            self._keeper.changed()

    def _replace(self, kind: Kind, objects: Iterable[Decoded]) -> None:
        before, self._problems[kind] = self._problems[kind], {}
        values: list[Object] = []
        for record in objects:
            self._report(kind, record)
            if record.value is not None:
                values.append(record.value)
        for ref in before.keys() - self._problems[kind].keys():
            self._store.report((ORIGIN, ref), ())
        self._store.replace_all(kind, values)
        self._touch()

    def _of_kind(self, resource: ApiResource, code: Code, message: str) -> None:
        what = "CustomResourceDefinition" if resource.custom else "APIResource"
        ref = ObjectRef(what, "", resource.collection.full_name)
        self._store.report((ORIGIN, resource.kind), (Problem(ref, "", code, message),))

    def _report(self, kind: Kind, record: Decoded) -> None:
        """Replace what was wrong with an object by what is; most objects never have a Problem."""
        problems = self._problems[kind]
        if record.problems:
            problems[record.ref] = record.problems
        elif problems.pop(record.ref, None) is None:
            return
        self._store.report((ORIGIN, record.ref), record.problems)


def _ref(value: Object) -> ObjectRef:
    return ObjectRef(value.kind.value, value.namespace, value.name)
