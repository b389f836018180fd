"""Hub: from «the store changed» to «these streams have a new snapshot»."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Hashable,
    Iterable,
    Iterator,
)
from functools import partial
from typing import Any, TypeVar, cast

from towpath.answers.audit import Judgement, audit
from towpath.answers.blame import rejection_problems
from towpath.answers.effect import Effect, Policy, effect, splits_before
from towpath.answers.explain import Explanation, explain
from towpath.answers.status import PolicyStatus, policy_statuses
from towpath.hub.comparison import Comparisons
from towpath.hub.compose import assignments, group, withheld, without_endpoints
from towpath.hub.debounce import Debounce
from towpath.hub.followers import Followers
from towpath.hub.offers import Offer, Offers
from towpath.hub.queries import Queries, Query, QueryCounts
from towpath.hub.stream import Stream
from towpath.hub.subscriptions import Subscriptions
from towpath.hub.turns import Pause, Turns
from towpath.hub.watch import Watch
from towpath.model.credentials import Subscriber
from towpath.model.mesh import Mesh
from towpath.model.names import Account, ClientKind, Kind, SidecarId
from towpath.model.problem import Problem
from towpath.model.snapshot import Snapshot
from towpath.observe.flow import Flow
from towpath.observe.flows import Counts
from towpath.planning import policy_problems, problems
from towpath.planning.egress.decide import Attempt
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import Quarantine
from towpath.rollout.records import StreamRecord, StreamRecords
from towpath.settings import RolloutSettings
from towpath.store import Store
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

Grouping = Callable[[Mesh, ClientKind, SidecarId], Hashable]
"""In which group a sidecar is, as a query about the mesh; None for an unknown pod."""

Compose = Callable[[Mesh, Any], Snapshot | None]
"""What the sidecars of a group are to hold, as a query about the mesh, its endpoints apart or not;
None for a group that holds nothing.
"""

Late = Callable[[], Coroutine[Any, Any, None]]
"""What publishes something that takes too long to be done at once."""

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
    ) -> None:
        self._times_changed = asyncio.Event()
        self._followers = Followers(
            clock=clock, forget=self._forget, forget_group=self._forget_group
        )
        self._subscriptions = Subscriptions(forget=self._forget_endpoints)
        self.quarantine = Quarantine(
            rollout,
            clock=clock,
            waited=metrics.canary_seconds.observe,
            on_change=self._times_changed.set,
        )
        self._on_publish = on_publish
        self._store = store
        self._debounce = debounce
        self._metrics = metrics
        self._clock = clock
        mesh, _ = store.drain()
        self._queries = Queries(mesh)
        self._comparisons = Comparisons(self.quarantine.intersections, self._queries.do)
        self._offers = Offers(self._queries, self._subscriptions, self._comparisons)
        self._turns = Turns(self._queries, forget=self._give_up)
        self._late: asyncio.Queue[Stream] = asyncio.Queue()
        self._synced = asyncio.Event()
        self._whole = False  # whether the last publication came to its end
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
        only answer: `snapshot`, `problems`, `withheld`, `explain`, `audit`, `policies`.
        """
        return await self._turns.finish(partial(call, *args))

    async def run(self) -> None:
        """Follow the store until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._serve_late())
            tasks.create_task(self._pass_time())
            await self._follow()

    async def _follow(self) -> None:
        if self._store.synced and not self._whole:
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
            subscriptions=self._subscriptions,
            build=build,
            subscriber=subscriber,
        )
        query = self._query(kind, sidecar)
        self._followers.add(query, stream)
        offer = partial(self._offer_to, query, [stream], changed_at=None)
        if not (self._turns.has_time() and self._turns.begin(offer)):
            self._late.put_nowait(stream)
        return stream

    def detach(self, stream: Stream) -> None:
        """Close a stream; what only it needed is kept for a while, for it may come back."""
        record = stream.record
        stream.close()
        query = self._query(record.kind, record.sidecar)
        if self._followers.remove(query, stream):
            self._queries.forget(withheld, record.kind, record.sidecar)
        self.records.close(record)
        self._times_changed.set()

    async def _serve_late(self) -> None:
        """Give streams their first snapshots that could not be had at once."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                stream = await self._late.get()
                query = self._query(stream.record.kind, stream.record.sidecar)
                call = partial(self._offer_first, query, stream)
                tasks.create_task(self._finish(call, query))

    def _offer_first(self, query: Query, stream: Stream) -> None:
        if stream in self._followers.streams_of(query):
            self._offer_to(query, [stream], changed_at=None)

    @contextlib.asynccontextmanager
    async def watch(self, kind: ClientKind, sidecar: SidecarId) -> AsyncIterator[Watch]:
        """Look on as the snapshot of a sidecar, connected or not, changes."""
        query = self._query(kind, sidecar)
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
        of = self._queries.get(self._group, kind, sidecar)
        current = None if of is None else self._queries.get(self._compose, of)
        if current is not None and current.destinations is not None:
            endpoints = self._queries.get(assignments, current.destinations)
            self._subscriptions.keep_unused(current.destinations)
            current = current.with_endpoints(endpoints)
        self._followers.forget_unused(self._query(kind, sidecar))
        self._followers.forget_empty(of)
        return current

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
        if not self._followers.streams_of(self._query(kind, sidecar)):
            self._queries.forget(withheld, kind, sidecar)
        return result

    def explain(self, account: Account, attempt: Attempt) -> Explanation:
        """What becomes of an attempt of that account's sidecars. Raises ValueError as `explain`."""
        args = (account, attempt, self.problems())
        try:
            explanation = self._queries.get(explain, *args)
        except ValueError:
            self._queries.forget(explain, *args)
            raise
        self._queries.forget(explain, *args)
        return explanation

    def audit(self, flows: tuple[tuple[Flow, Counts], ...]) -> tuple[Judgement, ...]:
        """What would become of what was reported if egress passthrough were off."""
        judgements = self._queries.get(audit, flows)
        self._queries.forget(audit, flows)
        return judgements

    def policies(self) -> tuple[PolicyStatus, ...]:
        """What has become of each policy."""
        asking: set[Account] = set()

        def splits_of(account: Account) -> frozenset[str]:
            asking.add(account)
            return self._queries.get(splits_before, account)

        statuses = policy_statuses(
            self.mesh,
            self.problems(),
            self.records,
            self._effect,
            self._current,
            splits_of=splits_of,
        )
        for account in self._accounts - asking:
            self._queries.forget(splits_before, account)
        self._accounts = asking
        return statuses

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
        changed = self._queries.update(*self._store.drain())
        # What a publication that failed has left out is not known: the next one is for all.
        whole, self._whole = self._whole, False
        sidecars, groups, moved = self._concerned(changed)
        if not whole:
            sidecars = list(self._followers.queries())
        late = await self._publish_to_sidecars(sidecars, changed_at=changed_at)
        late += await self._publish_to_groups(groups, changed_at=changed_at)
        # After the rest, which says who may answer there.
        await self._publish_endpoints(moved if whole else None, changed_at=changed_at)
        # What takes long keeps nobody waiting who has his already.
        async with asyncio.TaskGroup() as tasks:
            for publish in late:
                tasks.create_task(publish())
        self._comparisons.clear()
        if self.quarantine:
            self.quarantine.retire()
        self._whole = True
        self._synced.set()
        self._metrics.compute_seconds.observe(self._clock() - begun)
        self._on_publish()

    def _concerned(
        self, changed: Iterable[Query]
    ) -> tuple[list[Query], list[Hashable], set[Hashable]]:
        """Of the queries whose answers may have changed: those of sidecars that are followed, the
        groups in which such are, and destinations whose endpoints these are.
        """
        sidecars, groups, moved = list[Query](), list[Hashable](), set[Hashable]()
        for query in changed:
            if query[0] is self._group:
                sidecars.append(query)
            elif query[0] is self._compose:
                groups.append(query[1][0])
            elif query[0] is assignments:
                moved.add(query[1][0])
        return self._followers.among(sidecars), self._followers.groups_among(groups), moved

    async def _publish_to_sidecars(
        self, sidecars: Iterable[Query], *, changed_at: float
    ) -> list[Late]:
        """Offer theirs to those whose group may be another now, or whose pod. Gives what takes too
        long to be done at once.
        """
        late, pause = list[Late](), Pause(self._clock)
        for query in sidecars:
            call = partial(self._offer_to_all_of, query, changed_at=changed_at)
            with self._alone(query):
                if not self._turns.begin(call):
                    late.append(partial(self._finish, call, query))
            await pause.if_due()
        return late

    async def _publish_to_groups(
        self, groups: Iterable[Hashable], *, changed_at: float
    ) -> list[Late]:
        """Offer theirs to all in groups that may be to hold something else now. Gives what takes
        too long to be done at once.
        """
        late = list[Late]()
        for of in groups:
            offers = list[Offer | None]()
            call = partial(self._offer, of)
            with self._alone(*self._followers.members(of)):
                if self._turns.begin(call, take=offers.append):
                    await self._tell(offers.pop(), of, changed_at=changed_at)
                else:
                    late.append(partial(self._finish_group, call, of, changed_at=changed_at))
        return late

    async def _publish_endpoints(
        self, moved: Collection[Hashable] | None, *, changed_at: float
    ) -> None:
        """Tell those that ask for endpoints that may have changed; None: any may have."""
        pause = Pause(self._clock)
        for destinations in self._subscriptions.used(moved):
            endpoints = await self.in_turn(self._queries.get, assignments, destinations)
            for stream in self._subscriptions.put(destinations, endpoints):
                stream.push(changed_at)
                await pause.if_due()
        for watch in self._followers.watches() if moved is None or moved else ():
            watch.offer(await self.in_turn(self.snapshot, watch.kind, watch.sidecar))

    async def _finish(self, call: Callable[[], None], query: Query) -> None:
        with self._alone(query):
            await self._turns.finish(call)

    async def _finish_group(
        self, call: Callable[[], Offer | None], of: Hashable, *, changed_at: float
    ) -> None:
        with self._alone(*self._followers.members(of)):
            offer = await self._turns.finish(call)
            await self._tell(offer, of, changed_at=changed_at)

    @contextlib.contextmanager
    def _alone(self, *queries: Query) -> Iterator[None]:
        """A failure that nobody foresaw concerns those alone who ask these queries."""
        try:
            yield
        except Exception:
            self._metrics.task_failures.labels("publish").inc()
            nodes = [str(args[1]) for _, args in queries]
            text = "%s: its configuration cannot be computed"
            others = f" and {len(nodes) - 1} others" if len(nodes) > 1 else ""
            log.exception(text, nodes[0] + others, extra={"node": nodes[0]})

    def _offer_to_all_of(self, query: Query, *, changed_at: float | None) -> None:
        self._offer_to(query, self._followers.streams_of(query), changed_at=changed_at)
        for watch in self._followers.watches_of(query):
            watch.offer(self.snapshot(watch.kind, watch.sidecar))

    def _offer_to(
        self, query: Query, streams: Iterable[Stream], *, changed_at: float | None
    ) -> None:
        """Publish the present snapshot to streams of one sidecar; a pod that is gone leaves its
        streams what they have, and ends those that were its alone.
        """
        kind, sidecar = cast("tuple[ClientKind, SidecarId]", query[1])
        pod = self.mesh.pod(sidecar)
        admitted = [stream for stream in streams if stream.admits(pod)]
        of = self._queries.get(self._group, kind, sidecar)
        current = None if of is None else self._queries.get(self._compose, of)
        offer = self._offers.of(current, admitted) if current is not None else None
        # Not before: what the group that it leaves was to hold is of use until then.
        self._followers.place(query, of)
        if pod is not None and current is not None and offer is not None:
            offer.announce(self.quarantine)
            revision, account = self._queries.revision, pod.account
            for stream in admitted:
                stream.publish(current, account=account, revision=revision, changed_at=changed_at)

    def _offer(self, of: Hashable) -> Offer | None:
        """The present snapshot for all that are in that group and were told of it; those whose pod
        has changed have been offered theirs.
        """
        current = self._queries.get(self._compose, of)
        if current is None:
            return None
        followers = self._followers
        streams = (one for query in followers.members(of) for one in followers.streams_of(query))
        return self._offers.of(current, (stream for stream in streams if stream.serves))

    async def _tell(self, offer: Offer | None, of: Hashable, *, changed_at: float) -> None:
        """Publish it to all in that group, and let others run meanwhile."""
        if offer is None:
            return
        offer.announce(self.quarantine)
        revision, pause = self._queries.revision, Pause(self._clock)
        for stream in offer.streams:
            account = stream.record.account
            assert account is not None, "a stream that serves has had the first snapshot of its pod"
            stream.publish(
                offer.snapshot, account=account, revision=revision, changed_at=changed_at
            )
            await pause.if_due()
        for query in self._followers.members(of):
            for watch in self._followers.watches_of(query):
                watch.offer(await self.in_turn(self.snapshot, watch.kind, watch.sidecar))

    def _forget(self, query: Query) -> None:
        self._queries.forget(query[0], *query[1])
        if not self._followers:
            self._subscriptions.forget_unused()

    def _forget_group(self, of: Hashable) -> None:
        self._queries.forget(self._compose, of)

    def _give_up(self, query: Query) -> None:
        """Nobody waits for that answer any more."""
        if query[0] is self._compose:
            self._followers.forget_empty(query[1][0])
        else:
            self._followers.forget_unused(query)

    def _forget_endpoints(self, destinations: Hashable) -> None:
        self._queries.forget(assignments, destinations)

    def _query(self, kind: ClientKind, sidecar: SidecarId) -> Query:
        return self._group, (kind, sidecar)
