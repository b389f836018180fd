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
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25

LOOK_AT_MOST_OF_TIME = 1 / 200
"""What looks may cost when nobody is ended: with many connections they are seldomer."""

LOOK_SELDOM_S = 3.0
"""The longest pause."""

LOOK_AGAIN_S = 0.05
"""After a look that ended somebody for want of room: others may come as fast as they go."""

HANG_UP_S = 0.5
"""How long what was said last has to get through before a connection is ended."""

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


class Doorkeeper:
    """*clock* is monotonic, in seconds. The gate says whom it has let in by `let_in`."""

    def __init__(self, room: Room, *, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._room = room
        self._clock = clock
        self._ended = metrics.connections_ended
        self._open = metrics.connections
        self._let_in: set[Peer] = set()
        self._leaving: dict[Peer, float] = {}
        self._sockets: Sockets | None = None
        for reason in ("first-call", "crowd", "per-address", "expired"):
            self._ended.labels(PORT, reason)

    def let_in(self, peer: str) -> None:
        """A call on the connection of *peer*, as gRPC names it, has passed the gate."""
        if (key := parse_peer(peer)) is not None:
            self._let_in.add(key)

    def hang_up(self, peer: str) -> None:
        """The connection of *peer* is to end in a moment, and its client to make another."""
        if (key := parse_peer(peer)) is not None:
            self._leaving.setdefault(key, self._clock() + HANG_UP_S)

    async def keep(self, *ports: int) -> None:
        """Look after ports of this process until cancelled."""
        self._sockets = Sockets(*ports, clock=self._clock)
        while True:
            began = self._clock()
            try:
                crowded = self.look()
            except FileNotFoundError:
                log.info("this system does not show a process its sockets: none is ended early")
                return
            seldom = min((self._clock() - began) / LOOK_AT_MOST_OF_TIME, LOOK_SELDOM_S)
            await asyncio.sleep(LOOK_AGAIN_S if crowded else max(LOOK_EVERY_S, seldom))

    def look(self) -> bool:
        """End what has been there for too long, or is too much; true if something was too much."""
        if self._sockets is None:
            return False
        connections = self._sockets.look()
        self._let_in &= connections.keys()
        self._leaving = {p: at for p, at in self._leaving.items() if p in connections}
        due = [p for p, at in self._leaving.items() if at <= self._clock()]
        self._end("expired", [connections[peer] for peer in due])
        waiting = {p: c for p, c in connections.items() if p not in self._let_in}
        self._open.labels("let-in").set(len(self._let_in))
        self._open.labels("waiting").set(len(waiting))
        late = self._clock() - self._room.first_call_s
        self._end("first-call", [c for c in waiting.values() if c.since <= late])
        waiting = {p: c for p, c in waiting.items() if c.since > late}
        crowd = self._end("crowd", _crowd(waiting, len(waiting) - self._room.waiting))
        return self._end("per-address", self._too_many(connections)) + crowd > 0

    def end_all(self) -> None:
        """End every connection of the ports."""
        if self._sockets is not None:
            self._sockets.end(self._sockets.look().values())

    def _too_many(self, connections: dict[Peer, Connection]) -> Iterable[Connection]:
        """The newest of an address that has more than it may."""
        counts = Counter(address for address, _ in connections)
        for crowded in (a for a, count in counts.items() if count > self._room.per_peer):
            its = [c for (address, _), c in connections.items() if address == crowded]
            yield from sorted(its, key=_since)[self._room.per_peer :]

    def _end(self, reason: str, connections: Iterable[Connection]) -> int:
        """End these, and say how many they are."""
        if (chosen := list(connections)) and self._sockets is not None:
            self._sockets.end(chosen)
            self._ended.labels(PORT, reason).inc(len(chosen))
        return len(chosen)


def _crowd(waiting: dict[Peer, Connection], excess: int) -> Iterable[Connection]:
    """*excess* connections: the oldest of the address that has most, again and again.

    Of addresses that have as many, the one that came last: who was first is soon done.
    """
    if excess <= 0:
        return
    by_address: defaultdict[str, list[Connection]] = defaultdict(list)
    for (address, _), connection in waiting.items():
        by_address[address].append(connection)
    queue = []
    for number, its in enumerate(by_address.values()):
        its.sort(key=_since, reverse=True)
        queue.append((-len(its), -its[0].since, number, its))
    heapq.heapify(queue)
    for _ in range(excess):
        count, newest, number, its = queue[0]
        yield its.pop()
        heapq.heapreplace(queue, (count + 1, newest, number, its))


def _since(connection: Connection) -> float:
    return connection.since
