"""Publisher: tells the streams that a change concerns what they are to hold from now on.

What sidecars share is worked out once for their group, and before the first of them is told. What
takes long keeps nobody waiting who can have his at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from functools import partial
from typing import Any, cast

from towpath.hub.comparison import Comparisons
from towpath.hub.compose import assignments
from towpath.hub.followers import Followers
from towpath.hub.late import Late
from towpath.hub.publication import Publication, Publications
from towpath.hub.queries import Queries, Query
from towpath.hub.stream import Stream
from towpath.hub.subscriptions import Subscriptions
from towpath.hub.turns import Turns
from towpath.hub.watch import Watch
from towpath.model.mesh import Mesh
from towpath.model.names import ClientKind, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.pause import Pause
from towpath.rollout.quarantine import Quarantine
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

Grouping = Callable[[Mesh, ClientKind, SidecarId], Hashable]
"""In which group a sidecar is, as a query about the mesh; None for an unknown pod."""

Compose = Callable[[Mesh, Any], Snapshot | None]
"""What the sidecars of a group are to hold, as a query about the mesh, its endpoints apart or not;
None for a group that holds nothing.
"""


class Publisher:
    """Publishes what *compose* answers for the group that *group* says a sidecar is in.

    *clock* is monotonic, in seconds.
    """

    def __init__(
        self,
        queries: Queries,
        *,
        group: Grouping,
        compose: Compose,
        quarantine: Quarantine,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._queries = queries
        self._group = group
        self._compose = compose
        self._quarantine = quarantine
        self._metrics = metrics
        self._clock = clock
        self.followers = Followers(
            clock=clock, forget=self._forget, forget_group=self._forget_group
        )
        self.subscriptions = Subscriptions(forget=self._forget_endpoints)
        self.turns = Turns(queries, forget=self._give_up)
        self._comparisons = Comparisons(quarantine.intersections, queries.do)
        self._publications = Publications(queries, self.subscriptions, self._comparisons)
        self._late: asyncio.Queue[tuple[Query, Stream]] = asyncio.Queue()
        self._whole = False  # whether the last publication came to its end
        self._unplaced: set[Query] = set()  # sidecars that may be in another group now

    @property
    def whole(self) -> bool:
        """True if the last publication came to its end."""
        return self._whole

    def query(self, kind: ClientKind, sidecar: SidecarId) -> Query:
        """The query by which a sidecar is followed."""
        return self._group, (kind, sidecar)

    def snapshot(self, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:
        """What a sidecar is to hold now; None for a pod that does not exist."""
        query = self.query(kind, sidecar)
        of = self._queries.get(self._group, kind, sidecar)
        current = None if of is None else self._queries.get(self._compose, of)
        if current is not None and current.destinations is not None:
            endpoints = self._queries.get(assignments, current.destinations)
            self.subscriptions.keep_unused(current.destinations)
            current = current.with_endpoints(endpoints)
        if self.followers.watches_of(query):
            # Who looks on is told what becomes of the group, also where it has no stream.
            self.followers.place(query, of)
        self.followers.forget_unused(query)
        self.followers.forget_empty(of)
        return current

    def begin(self, query: Query, stream: Stream) -> None:
        """Tell a stream that is new of its first snapshot: at once if there is time, else soon."""
        call = partial(self._offer_to, query, [stream], changed_at=None)
        if not (self.turns.has_time() and self.turns.begin(call)):
            self._late.put_nowait((query, stream))

    async def serve_late(self) -> None:
        """Tell streams of their first snapshots that could not be had at once, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                query, stream = await self._late.get()
                tasks.create_task(self._finish(partial(self._offer_first, query, stream), query))

    def _offer_first(self, query: Query, stream: Stream) -> None:
        if stream in self.followers.streams_of(query):
            self._offer_to(query, [stream], changed_at=None)

    async def publish(self, changed: Iterable[Query], *, changed_at: float) -> None:
        """Tell those of it whom the changed queries concern."""
        # What a publication that failed has left out is not known: the next one is for all.
        whole, self._whole = self._whole, False
        sidecars, groups, moved = self._concerned(changed)
        # Of some it may have failed to say in which group they are: they are asked for again.
        sidecars = self.followers.among(dict.fromkeys([*sidecars, *self._unplaced]))
        if not whole:
            sidecars = list(self.followers.queries())
        pause = Pause(self._clock)
        if sidecars or groups:
            async with Late(self._clock) as late:
                await self._publish_to_sidecars(sidecars, pause, late, changed_at=changed_at)
                await self._publish_to_groups(groups, pause, late, changed_at=changed_at)
            self._comparisons.clear()
        # After the rest, which says who may answer there, and who is asked for at all.
        await self._publish_endpoints(moved if whole else None, pause, changed_at=changed_at)
        self._whole = True

    def _concerned(
        self, changed: Iterable[Query]
    ) -> tuple[list[Query], list[Hashable], list[Hashable]]:
        """Of the queries whose answers may have changed: those of sidecars that are followed, the
        groups in which such are, and destinations whose endpoints these are.
        """
        sidecars, groups, moved = list[Query](), list[Hashable](), list[Hashable]()
        for query in changed:
            if query[0] is self._group:
                sidecars.append(query)
            elif query[0] is self._compose:
                groups.append(query[1][0])
            elif query[0] is assignments:
                moved.append(query[1][0])
        return self.followers.among(sidecars), self.followers.groups_among(groups), moved

    async def _publish_to_sidecars(
        self, sidecars: Iterable[Query], pause: Pause, late: Late, *, changed_at: float
    ) -> None:
        """Offer theirs to those whose group may be another now, or whose pod."""
        for query in sidecars:
            call = partial(self._offer_to_all_of, query, changed_at=changed_at)
            self._unplaced.add(query)
            with self._alone(query):
                if not self.turns.begin(call):
                    await late.add(partial(self._finish, call, query))
            await pause.if_due()

    async def _publish_to_groups(
        self, groups: Iterable[Hashable], pause: Pause, late: Late, *, changed_at: float
    ) -> None:
        """Offer theirs to all in groups that may have to hold something else now."""
        for of in groups:
            publications = list[Publication | None]()
            call = partial(self._publication, of)
            with self._alone(*self.followers.members(of)):
                if self.turns.begin(call, take=publications.append):
                    await self._hand_out(publications.pop(), of, pause, changed_at=changed_at)
                else:
                    finish = partial(self._finish_group, call, of, pause, changed_at=changed_at)
                    await late.add(finish)
            await pause.if_due()

    async def _publish_endpoints(
        self, moved: Collection[Hashable] | None, pause: Pause, *, changed_at: float
    ) -> None:
        """Tell those that ask for endpoints that may have changed; None: any may have."""
        for destinations in self.subscriptions.used(moved):
            endpoints = await self.turns.finish(
                partial(self._queries.get, assignments, destinations)
            )
            for stream in self.subscriptions.put(destinations, endpoints):
                stream.push(changed_at)
                await pause.if_due(woken=1)
        for watch in self.followers.watches() if moved is None or moved else ():
            await self._show(watch)

    async def _finish(self, call: Callable[[], None], query: Query) -> None:
        with self._alone(query):
            await self.turns.finish(call)

    async def _finish_group(
        self,
        call: Callable[[], Publication | None],
        of: Hashable,
        pause: Pause,
        *,
        changed_at: float,
    ) -> None:
        with self._alone(*self.followers.members(of)):
            publication = await self.turns.finish(call)
            await self._hand_out(publication, of, pause, changed_at=changed_at)

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
        self._offer_to(query, self.followers.streams_of(query), changed_at=changed_at)
        for watch in self.followers.watches_of(query):
            watch.offer(self.snapshot(watch.kind, watch.sidecar))

    def _offer_to(
        self, query: Query, streams: Iterable[Stream], *, changed_at: float | None
    ) -> None:
        """Publish the present snapshot to streams of one sidecar; a pod that is gone leaves its
        streams what they have, and ends those that were its alone.
        """
        kind, sidecar = cast("tuple[ClientKind, SidecarId]", query[1])
        pod = self._queries.mesh.pod(sidecar)
        admitted = [stream for stream in streams if stream.admits(pod)]
        of = self._queries.get(self._group, kind, sidecar)
        current = None if of is None else self._queries.get(self._compose, of)
        publication = self._publications.of(current, admitted) if current is not None else None
        # Not before: what the group that it leaves was to hold is of use until then.
        self.followers.place(query, of)
        self._unplaced.discard(query)
        if pod is not None and current is not None and publication is not None:
            publication.announce(self._quarantine)
            revision, account = self._queries.revision, pod.account
            for stream in admitted:
                stream.publish(current, account=account, revision=revision, changed_at=changed_at)

    def _publication(self, of: Hashable) -> Publication | None:
        """The present snapshot for all that are in that group and have had one; those that may be
        in another one now have been offered theirs, or will be.
        """
        current = self._queries.get(self._compose, of)
        if current is None:
            return None
        members = (one for one in self.followers.members(of) if one not in self._unplaced)
        streams = (one for query in members for one in self.followers.streams_of(query))
        return self._publications.of(current, (stream for stream in streams if stream.serves))

    async def _hand_out(
        self, publication: Publication | None, of: Hashable, pause: Pause, *, changed_at: float
    ) -> None:
        """Publish it to all in that group, and let others run meanwhile."""
        if publication is None:
            return
        publication.announce(self._quarantine)
        revision = self._queries.revision
        for stream in publication.streams:
            account = stream.record.account
            assert account is not None, "a stream that serves has had the first snapshot of its pod"
            stream.publish(
                publication.snapshot, account=account, revision=revision, changed_at=changed_at
            )
            await pause.if_due(woken=1)
        for query in self.followers.members(of):
            for watch in self.followers.watches_of(query):
                await self._show(watch)

    async def _show(self, watch: Watch) -> None:
        """Have who looks on see what the sidecar is to hold now."""
        watch.offer(await self.turns.finish(partial(self.snapshot, watch.kind, watch.sidecar)))

    def _forget(self, query: Query) -> None:
        self._queries.forget(query[0], *query[1])
        self._unplaced.discard(query)
        if not self.followers:
            self.subscriptions.forget_unused()

    def _forget_group(self, of: Hashable) -> None:
        self._queries.forget(self._compose, of)

    def _give_up(self, query: Query) -> None:
        """Nobody waits for that answer any more."""
        if query[0] is self._compose:
            self.followers.forget_empty(query[1][0])
        else:
            self.followers.forget_unused(query)

    def _forget_endpoints(self, destinations: Hashable) -> None:
        self._queries.forget(assignments, destinations)
