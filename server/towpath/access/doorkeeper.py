"""Doorkeeper: keeps room on the ADS ports for those whom the gate lets in.

Who has no credential can connect all the same; what he can have of the server is a few connections
for a few seconds.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from towpath.access.sockets import Connection, Peer, Sockets, parse_peer
from towpath.pause import Pause
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25

LOOK_AT_MOST_OF_TIME = 1 / 200
"""What looks may cost when nobody is ended: with many connections they are seldomer."""

LOOK_SELDOM_S = 3.0
"""The longest pause while anybody comes, goes or waits, …"""

LOOK_AT_LEAST_EVERY_S = 30.0
"""… and otherwise."""

LOOK_SLICE_S = 0.01
"""For how long a look holds the event loop at once."""

LOOK_AGAIN_S = 0.05
"""After a look that ended somebody for want of room: others may come as fast as they go."""

LONGEST_BEHIND_S = 60.0
"""How much more time connections have at the most for their first call while the server is slow."""

HANG_UP_S = 0.5
"""How long what was said last has to get through before a connection is ended."""

FOR_WANT_OF_A_CALL = frozenset({"first-call", "crowd"})
"""Why a connection is ended that has none that was let in."""

PORT = "ads"
"""What both ports are called in metrics."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many connections there may be: in all, from one address, and, as a part of all, without a
    call that was let in; and how many seconds these may take until they have one.
    """

    connections: int
    per_peer: int
    first_call_s: float

    @property
    def waiting(self) -> int:
        return max(self.connections // 4, 1)

    @property
    def handshake_s(self) -> float:
        """How long a transport may itself wait for what a client says first.

        The doorkeeper ends sooner whoever has no call; when a whole mesh comes at once, the server
        may be as slow to read what its clients say.
        """
        return self.first_call_s + LONGEST_BEHIND_S


class Doorkeeper:
    """*clock* is monotonic, in seconds. The gate says whom it has let in by `let_in`."""

    def __init__(self, room: Room, *, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._room = room
        self._clock = clock
        self._ended = metrics.connections_ended
        self._open = metrics.connections
        self._let_in: set[Peer] = set()
        self._called: set[Peer] = set()  # of these, since the last look began
        self._came: dict[Peer, float] = {}  # of these, for the first time, and when
        self._waiting = 0  # as the last look ended
        self._behind_s = 0.0
        self._sees = True
        self._leaving: dict[Peer, float] = {}
        self._sockets: Sockets | None = None
        for reason in ("first-call", "crowd", "per-address", "expired"):
            self._ended.labels(PORT, reason)

    def let_in(self, peer: str) -> None:
        """A call on the connection of *peer*, as gRPC names it, has passed the gate."""
        if self._sees and (key := parse_peer(peer)) is not None:
            self._called.add(key)
            if key not in self._let_in:
                self._let_in.add(key)
                self._came[key] = self._clock()

    def hang_up(self, peer: str) -> None:
        """The connection of *peer* is to end in a moment, and its client to make another."""
        if self._sees and (key := parse_peer(peer)) is not None:
            self._leaving.setdefault(key, self._clock() + HANG_UP_S)

    async def keep(self, *ports: int) -> None:
        """Look after ports of this process until cancelled."""
        self._sockets = Sockets(*ports, clock=self._clock)
        late = 0.0
        while True:
            pause = Pause(self._clock, LOOK_SLICE_S)
            try:
                crowded = await self.look(pause, late=late)
            except FileNotFoundError:
                log.info("this system does not show a process its sockets: none is ended early")
                self._sees, self._sockets = False, None
                return
            seldom = min(pause.worked / LOOK_AT_MOST_OF_TIME, LOOK_SELDOM_S)
            late = await self._rest(LOOK_AGAIN_S if crowded else max(LOOK_EVERY_S, seldom))

    async def _rest(self, seconds: float) -> float:
        """Until the next look, which has time as long as nobody comes, goes or waits: then it takes
        a part of a core that grows with the connections. Gives how late it is, in seconds.
        """
        latest = self._clock() + LOOK_AT_LEAST_EVERY_S
        while True:
            due = self._clock() + seconds
            await asyncio.sleep(seconds)
            if self._clock() >= latest or self._has_to_look():
                return self._clock() - due

    def _has_to_look(self) -> bool:
        some = self._waiting or self._came or self._leaving
        return bool(some) or self._sockets is None or self._sockets.may_differ()

    async def look(self, pause: Pause, *, late: float = 0.0) -> bool:
        """End what has been there for too long, or is too much; true if something was too much. The
        look is *late* by so many seconds: for as long the event loop was held.
        """
        if self._sockets is None:
            return False
        came, self._came, self._called = self._came, {}, set()
        leaving = set(self._leaving)
        connections = await self._sockets.look(pause)
        # Who came or was sent away during the look may not be among them yet.
        self._let_in = (self._let_in & connections.keys()) | self._called
        for peer in leaving - connections.keys():
            del self._leaving[peer]
        due = [p for p, at in self._leaving.items() if at <= self._clock()]
        await self._end("expired", [connections[p] for p in due if p in connections], pause)
        waiting = {p: c for p, c in connections.items() if p not in self._let_in}
        self._open.labels("let-in").set(len(self._let_in))
        self._open.labels("waiting").set(len(waiting))
        self._behind_s = min(max(self._waited(came, connections), late), LONGEST_BEHIND_S)
        latest = self._clock() - self._room.first_call_s - self._behind_s
        await self._end("first-call", [c for c in waiting.values() if c.since <= latest], pause)
        waiting = {p: c for p, c in waiting.items() if c.since > latest and p not in self._let_in}
        self._waiting = len(waiting)
        excess = self._waiting - self._room.waiting
        newest = self._behind_s > LOOK_SELDOM_S  # who was first is about to be served
        crowd = await self._end("crowd", _crowd(waiting, excess, newest=newest), pause)
        return await self._end("per-address", self._too_many(connections), pause) + crowd > 0

    def _waited(self, came: dict[Peer, float], connections: dict[Peer, Connection]) -> float:
        """For how many seconds the server itself lets everybody wait: as long as the one of those
        who *came* lately that waited least; if none did, half of what it was.

        Calls are served in their order. When a whole mesh comes at once, and is not served within
        the time that a connection has, to end those that wait would have them come again, behind
        all the others.
        """
        waited = [at - connections[peer].since for peer, at in came.items() if peer in connections]
        return max(min(waited, default=self._behind_s / 2), 0.0)

    async def end_all(self) -> None:
        """End every connection of the ports."""
        if self._sockets is not None:
            pause = Pause(self._clock, LOOK_SLICE_S)
            for connection in (await self._sockets.look(pause)).values():
                await pause.if_due()
                self._sockets.end(connection)

    def _too_many(self, connections: dict[Peer, Connection]) -> Iterable[Connection]:
        """The newest of an address that has more than it may."""
        counts = Counter(address for address, _ in connections)
        for crowded in (a for a, count in counts.items() if count > self._room.per_peer):
            its = [c for (address, _), c in connections.items() if address == crowded]
            yield from sorted(its, key=_since)[self._room.per_peer :]

    async def _end(self, reason: str, connections: Iterable[Connection], pause: Pause) -> int:
        """End these, and say how many they are."""
        sockets, count = self._sockets, 0
        for connection in tuple(connections):
            await pause.if_due()
            if reason in FOR_WANT_OF_A_CALL and connection.peer in self._let_in:
                continue  # it has called meanwhile
            if sockets is not None:
                sockets.end(connection)
                count += 1
        self._ended.labels(PORT, reason).inc(count)
        return count


def _crowd(
    waiting: dict[Peer, Connection], excess: int, *, newest: bool = False
) -> Iterable[Connection]:
    """*excess* connections: the oldest, or the *newest*, of the address that has most, again and
    again.

    Of addresses that have as many, the one that came last: who was first is soon done.
    """
    if excess <= 0:
        return
    by_address: defaultdict[str, list[Connection]] = defaultdict(list)
    for (address, _), connection in waiting.items():
        by_address[address].append(connection)
    queue = []
    for number, its in enumerate(by_address.values()):
        its.sort(key=_since, reverse=not newest)
        queue.append((-len(its), -max(its[0].since, its[-1].since), number, its))
    heapq.heapify(queue)
    for _ in range(excess):
        count, since, number, its = queue[0]
        yield its.pop()
        heapq.heapreplace(queue, (count + 1, since, number, its))


def _since(connection: Connection) -> float:
    return connection.since
