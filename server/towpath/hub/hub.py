"""Hub: from «the store changed» to «these streams have a new snapshot»."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import (
    AsyncIterator,
    Callable,
)
from functools import partial
from ipaddress import IPv4Address
from typing import TypeVar, TypeVarTuple

from towpath.answers.audit import Judgement, audit
from towpath.answers.blame import rejection_problems
from towpath.answers.effect import Effect, Policy, effect, on_the_way
from towpath.answers.explain import Explanation, explain
from towpath.answers.explain_address import explain_address
from towpath.answers.foreseen import ForeseenRefusals, foreseen
from towpath.answers.observed import due_to, targets_for
from towpath.answers.reach import AccountReach, accounts, reach
from towpath.answers.status import PolicyStatus, policy_statuses
from towpath.hub.compose import group, withheld, without_endpoints
from towpath.hub.debounce import Debounce
from towpath.hub.publisher import Compose, Grouping, Publisher
from towpath.hub.queries import Queries, QueryCounts
from towpath.hub.stream import Stream
from towpath.hub.watch import Watch
from towpath.model.credentials import Subscriber
from towpath.model.mesh import Mesh
from towpath.model.names import Account, ClientKind, Kind, ObjectRef, SidecarId
from towpath.model.problem import Problem
from towpath.model.snapshot import Snapshot
from towpath.observe.flow import Flow
from towpath.observe.flows import Counts
from towpath.planning import policy_problems, problems
from towpath.planning.egress.decide import Attempt
from towpath.planning.egress.observation import reports
from towpath.planning.inmesh.grants import counts_refusals
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import Quarantine
from towpath.rollout.records import StreamRecord, StreamRecords
from towpath.settings import RolloutSettings
from towpath.store import Store
from towpath.telemetry.metrics import Metrics
from towpath.telemetry.traces import NO_TRACES, Traces

log = logging.getLogger(__name__)

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


class Hub:
    """Recomputes what a change touches and publishes it to the streams that it concerns.

    *clock* is monotonic, in seconds; *on_publish* is called after each publishing. Nothing is
    published before the store is synced. *rollout* says to how many sidecars new content goes
    first, and how long rejected content is kept from others.
    """

    _group: Grouping = staticmethod(group)
    _compose: Compose = staticmethod(without_endpoints)
    """The queries whose answers are published."""

    def __init__(
        self,
        store: Store,
        debounce: Debounce,
        *,
        records: StreamRecords,
        metrics: Metrics,
        clock: Callable[[], float],
        on_publish: Callable[[], None] = lambda: None,
        rollout: RolloutSettings,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._times_changed = asyncio.Event()
        self.quarantine = Quarantine(
            rollout,
            clock=clock,
            waited=metrics.canary_seconds.observe,
            on_change=self._times_changed.set,
        )
        self._on_publish = on_publish
        self._traces = traces
        self._store = store
        self._debounce = debounce
        self._metrics = metrics
        self._clock = clock
        mesh, _ = store.drain()
        self._queries = Queries(mesh)
        self._publisher = Publisher(
            self._queries,
            group=self._group,
            compose=self._compose,
            quarantine=self.quarantine,
            metrics=metrics,
            clock=clock,
        )
        self._followers = self._publisher.followers
        self._synced = asyncio.Event()
        self._accounts: set[Account] = set()  # of whom `policies` remembers something
        self.records = records

    @property
    def mesh(self) -> Mesh:
        """The view of the cluster that was last published."""
        return self._queries.mesh

    @property
    def query_counts(self) -> QueryCounts:
        """What the hub remembers, and how much it has computed since it began."""
        return self._queries.counts

    @property
    def ready(self) -> bool:
        """True once every kind has been listed and the first view is built."""
        return self._synced.is_set()

    def refresh(self) -> None:
        """Take the store's present view without waiting, publishing nothing; for offline use."""
        self._queries.update(*self._store.drain())

    async def in_turn(self, call: Callable[..., R], *args: object) -> R:
        """What `call(*args)` gives, without keeping others waiting; for one of these methods that
        only answer: `snapshot`, `problems`, `withheld`, `explain`, `audit`, `due_to`, `policies`,
        `accounts`, `reach`.
        """
        return await self._publisher.turns.finish(partial(call, *args))

    async def run(self) -> None:
        """Follow the store until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publisher.serve_late())
            tasks.create_task(self._pass_time())
            await self._follow()

    async def _follow(self) -> None:
        if self._store.synced and not self._publisher.whole:
            await self._publish(self._clock())
        while True:
            changed_at = await self._debounce.wait()
            if self._store.synced:
                await self._publish(changed_at)

    async def _pass_time(self) -> None:
        """End what has lasted long enough, each at its time."""
        while True:
            self._times_changed.clear()
            at = min(self.quarantine.next_at, self._followers.next_at)
            left = None if math.isinf(at) else max(at - self._clock(), 0.0)
            try:
                async with asyncio.timeout(left):
                    await self._times_changed.wait()
            except TimeoutError:
                self.quarantine.pass_time()
                self._followers.forget_left()

    def attach(
        self,
        *,
        peer: str,
        node_id: str,
        sidecar: SidecarId,
        kind: ClientKind,
        variant: str,
        subscriber: Subscriber | None,
        software: tuple[str, str] = ("", ""),
    ) -> Stream:
        """Open a stream; it has a snapshot at once if its pod is known, or as soon as that can be
        worked out, else when the pod appears.

        It never has that of another pod than the *subscriber* may be (None: any), who alone is
        authenticated. *software* is the name and version of the client's.
        """
        record = self.records.open(
            peer=peer,
            node_id=node_id,
            sidecar=sidecar,
            kind=kind,
            variant=variant,
            subscriber=subscriber,
        )

        build = ClientBuild(kind, *software)
        stream = Stream(
            record,
            quarantine=self.quarantine,
            subscriptions=self._publisher.subscriptions,
            build=build,
            subscriber=subscriber,
        )
        query = self._publisher.query(kind, sidecar)
        self._followers.add(query, stream)
        self._publisher.begin(query, stream)
        return stream

    def detach(self, stream: Stream) -> None:
        """Close a stream; what only it needed is kept for a while, for it may come back."""
        record = stream.record
        stream.close()
        query = self._publisher.query(record.kind, record.sidecar)
        if self._followers.remove(query, stream):
            self._queries.forget(withheld, record.kind, record.sidecar)
        self.records.close(record)
        self._times_changed.set()

    @contextlib.asynccontextmanager
    async def watch(self, kind: ClientKind, sidecar: SidecarId) -> AsyncIterator[Watch]:
        """Look on as the snapshot of a sidecar, connected or not, changes."""
        query = self._publisher.query(kind, sidecar)
        watch = Watch(kind, sidecar)
        self._followers.add_watch(query, watch)
        try:
            watch.offer(await self.in_turn(self.snapshot, kind, sidecar))
            yield watch
        finally:
            self._followers.remove_watch(query, watch)

    def account_of(self, sidecar: SidecarId) -> Account | None:
        """The service account that a pod runs as; None for one that does not exist."""
        pod = self.mesh.pod(sidecar)
        return pod.account if pod else None

    def snapshot(self, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:
        """What a sidecar is to hold now; None for a pod that does not exist."""
        return self._publisher.snapshot(kind, sidecar)

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the input, beyond a connected sidecar, or rejected; sorted."""
        result = {*self.mesh.problems, *self._queries.get(problems)}
        result |= set(rejection_problems(self.mesh, self.quarantine))
        for stream in self._followers.streams():
            record = stream.record
            if record.kind is ClientKind.PIPY:
                result |= set(self._queries.get(withheld, record.kind, record.sidecar))
        return tuple(sorted(result))

    async def policy_problems(self) -> tuple[Problem, ...]:
        """What planning finds wrong with the MeshConfig and policies; sorted."""
        return await self.in_turn(self._queries.get, policy_problems)

    def withheld(self, kind: ClientKind, sidecar: SidecarId) -> tuple[Problem, ...]:
        """Where a sidecar of that kind, connected or not, cannot do what policies say."""
        result = self._queries.get(withheld, kind, sidecar)
        if not self._followers.streams_of(self._publisher.query(kind, sidecar)):
            self._queries.forget(withheld, kind, sidecar)
        return result

    def explain(self, caller: Account | IPv4Address, attempt: Attempt) -> Explanation:
        """What becomes of an attempt of that account's sidecars, or of whoever has that address.
        Raises ValueError as `explain`.
        """
        args = (attempt, self.problems())
        if isinstance(caller, Account):
            return self._once(explain, caller, *args)
        return self._once(explain_address, caller, *args)

    def _once(self, question: Callable[[Mesh, *Ts], R], *args: *Ts) -> R:
        """The answer, which nobody asks for again. One that comes in slices is kept meanwhile."""
        try:
            answer = self._queries.get(question, *args)
        except ValueError:
            self._queries.forget(question, *args)
            raise
        self._queries.forget(question, *args)
        return answer

    def reports(self, namespace: str) -> bool:
        """True if sidecars of that namespace are to report what they let out or refuse."""
        return reports(self.mesh, namespace)

    def audit(self, flows: tuple[tuple[Flow, Counts], ...]) -> tuple[Judgement, ...]:
        """What would become of what was reported if egress passthrough were off."""
        judgements = self._queries.get(audit, flows)
        self._queries.forget(audit, flows)
        return judgements

    def targets_for(self, flows: tuple[tuple[Flow, Counts], ...]) -> tuple[tuple[str, ...], ...]:
        """Which TrafficTargets are about what was refused inside the mesh, flow by flow."""
        result = self._queries.get(targets_for, flows)
        self._queries.forget(targets_for, flows)
        return result

    @property
    def counts_refusals(self) -> bool:
        """True if sidecars count what TrafficTargets would refuse without permissive mode."""
        return self._queries.get(counts_refusals)

    @property
    def silent_namespaces(self) -> tuple[str, ...]:
        """The namespaces of the mesh whose sidecars report nothing, sorted."""
        return tuple(n for n in sorted(self.mesh.monitored_namespaces()) if not self.reports(n))

    def foreseen(self, most: int) -> tuple[ForeseenRefusals, ...]:
        """What TrafficTargets would refuse without permissive mode where nobody reports it."""
        return self._once(foreseen, most)

    def due_to(self, flows: tuple[tuple[Flow, Counts], ...]) -> tuple[tuple[str, ...], ...]:
        """Which policies what was reported is due to, flow by flow."""
        result = self._queries.get(due_to, flows)
        self._queries.forget(due_to, flows)
        return result

    def policies(self) -> tuple[PolicyStatus, ...]:
        """What has become of each policy."""
        asking: set[Account] = set()

        def policies_before(account: Account) -> frozenset[ObjectRef]:
            asking.add(account)
            return self._queries.get(on_the_way, account)

        statuses = policy_statuses(
            self.mesh,
            self.problems(),
            self.records,
            self._effect,
            self._current,
            policies_before=policies_before,
        )
        for account in self._accounts - asking:
            self._queries.forget(on_the_way, account)
        self._accounts = asking
        return statuses

    def accounts(self) -> tuple[Account, ...]:
        """Every service account of the mesh, sorted."""
        return self._queries.get(accounts)

    def reach(self, account: Account) -> AccountReach:
        """What the account may reach."""
        result = self._queries.get(reach, account)
        self._queries.forget(reach, account)
        return result

    def _effect(self, policy: Policy) -> tuple[Effect, int]:
        name = policy.kind, policy.namespace, policy.name
        return self._queries.get(effect, *name), self._queries.changed_at(effect, *name)

    def _current(self, record: StreamRecord) -> str:
        current = self.snapshot(record.kind, record.sidecar)
        return current.version if current else ""

    def object_counts(self) -> dict[Kind, int]:
        """How many objects of each kind are held."""
        return {kind: len(self.mesh.members.get((kind, "all"), ())) for kind in Kind}

    async def _publish(self, changed_at: float) -> None:
        begun = self._clock()
        if self._traces.on:
            self._traces.computing(changed_at, begun)
        changed = self._queries.update(*self._store.drain())
        await self._publisher.publish(changed, changed_at=changed_at)
        if self._traces.on:
            self._traces.computed(changed_at, self._clock())
        if self.quarantine:
            self.quarantine.retire()
        self._synced.set()
        self._metrics.compute_seconds.observe(self._clock() - begun)
        self._on_publish()
