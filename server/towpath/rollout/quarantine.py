"""Quarantine: content that clients reject stops at them, and new content goes to a few first.

Everything is keyed by content, so a rejection ends with the content that it speaks of. No I/O; the
clock is passed in.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from towpath.model.names import Account
from towpath.model.snapshot import Resource
from towpath.rollout.changes import Change, Intersections
from towpath.rollout.clients import ClientRecord, ClientStream
from towpath.rollout.cohort import Cohort, Rules
from towpath.rollout.content import ClientBuild, Quarantined, State, content
from towpath.settings import RolloutSettings

REMEMBERED_CLIENTS = 20_000
MOST_BUILDS = 32
"""How many versions of clients are told apart; what comes beyond them is one, by its kind."""


class Quarantine:
    """All clients, in cohorts by their build.

    *settings* say how many sidecars try new content, each of another service account, how long the
    others wait at most, and for how long rejections count. *waited* is told for how long content
    was kept from those who were to wait, *on_change* that `next_at` may be earlier.
    """

    def __init__(
        self,
        settings: RolloutSettings,
        *,
        clock: Callable[[], float],
        waited: Callable[[float], None] = lambda _: None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._rules = Rules(settings, clock, waited, on_change)
        self.intersections = Intersections()
        self._clients: OrderedDict[str, ClientRecord] = OrderedDict()
        self._cohorts: dict[ClientBuild, Cohort] = {}

    def client(
        self, node_id: str, build: ClientBuild, account: Account | None = None
    ) -> ClientRecord:
        """The record of one client; another version of its software begins a new one."""
        cohort = self._cohort_for(build)
        record = self._clients.get(node_id)
        if record is None or record.build != cohort.build:
            record = self._clients[node_id] = ClientRecord(
                node_id, cohort, account, intersections=self.intersections
            )
        self._clients.move_to_end(node_id)
        if len(self._clients) > REMEMBERED_CLIENTS:
            idle = (node_id for node_id, one in self._clients.items() if not one.connected)
            self._clients.pop(next(idle, ""), None)
        return record

    def close(self, client: ClientRecord, stream: ClientStream) -> None:
        """A stream of that client has ended; it is forgotten unless there is something to know."""
        client.close(stream)
        if not client.worth_keeping and self._clients.get(client.node_id) is client:
            del self._clients[client.node_id]

    def changed(self, build: ClientBuild, changes: Iterable[Change]) -> None:
        """Note what is new in the snapshot of a client of that build: it is tried first."""
        self._cohort(build).changed(changes)

    def refuses(self, build: ClientBuild, resource: Resource) -> bool:
        """True if clients of that build are not sent this content."""
        cohort = self._cohorts.get(build)
        return cohort is not None and cohort.refuses(content(resource))

    def account_of(self, node_id: str) -> Account | None:
        """The account of a client, if it is known."""
        client = self._clients.get(node_id)
        return client.account if client else None

    def quarantined(self) -> Iterator[Quarantined]:
        """All content that is kept from a whole build."""
        for cohort in self._cohorts.values():
            yield from cohort.quarantined()

    def clients(self) -> Iterator[ClientRecord]:
        """All clients that have rejected something."""
        return (client for client in tuple(self._clients.values()) if client.rejections)

    def trials(self) -> int:
        """How much new content is on trial."""
        return sum(cohort.count(State.ON_TRIAL) for cohort in self._cohorts.values())

    def retire(self) -> None:
        """Forget what is no part of any snapshot any more."""
        for cohort in self._cohorts.values():
            cohort.retire()
        for client in self.clients():
            client.retire()

    def __bool__(self) -> bool:
        """True if anything is tried, rejected, or kept from anybody."""
        return any(self._cohorts.values()) or any(self.clients())

    @property
    def next_at(self) -> float:
        """When the next wait ends or the next quarantine expires; infinite if there is none."""
        return min(map(attrgetter("next_at"), self._cohorts.values()), default=math.inf)

    def pass_time(self) -> None:
        """End the waits that have lasted long enough, and what was in quarantine long enough."""
        for cohort in self._cohorts.values():
            cohort.pass_time()

    def _cohort_for(self, build: ClientBuild) -> Cohort:
        """That of the build, if it is known or there is room for it, else of its kind's unknown."""
        if build not in self._cohorts and len(self._cohorts) >= MOST_BUILDS:
            used = {client.build for client in self._clients.values()}
            idle = (
                other
                for other, cohort in self._cohorts.items()
                if other not in used and not cohort.count(State.QUARANTINED)
            )
            gone = next(idle, None)
            if gone is None:
                return self._cohort(ClientBuild(build.kind))
            del self._cohorts[gone]
        return self._cohort(build)

    def _cohort(self, build: ClientBuild) -> Cohort:
        cohort = self._cohorts.get(build)
        if cohort is None:
            cohort = self._cohorts[build] = Cohort(build, self._rules)
        return cohort
