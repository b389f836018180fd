"""Who may stay connected: those who were let in, and for a while a few others."""

from __future__ import annotations

import pytest

from support.samples import sample
from towpath.access.doorkeeper import HANG_UP_S, Doorkeeper, Room
from towpath.access.sockets import Connection, Peer, Sockets
from towpath.telemetry.metrics import Metrics

ATTACKER, SIDECAR, OTHER = "10.0.0.1", "10.0.0.2", "10.0.0.3"


def _room(*, connections: int = 10_000, per_peer: int = 1_000, first_call_s: float = 10.0) -> Room:
    return Room(connections, per_peer, first_call_s)


class Port:
    """A doorkeeper of a port whose connections are what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: Room) -> None:
        self.now = 0.0
        self.metrics = Metrics()
        self.keeper = Doorkeeper(room, metrics=self.metrics, clock=lambda: self.now)
        self.open: dict[Peer, Connection] = {}
        sockets = Sockets(1, clock=lambda: self.now)
        monkeypatch.setattr(sockets, "look", lambda: dict(self.open))
        monkeypatch.setattr(sockets, "end", self._end)
        self.keeper._sockets = sockets

    def _end(self, connections: list[Connection]) -> None:
        for connection in connections:
            assert connection.peer is not None
            del self.open[connection.peer]

    def connect(self, address: str, *ports: int, let_in: bool = False) -> None:
        for port in ports:
            self.open[address, port] = Connection(0, 0, (address, port), self.now)
            if let_in:
                self.keeper.let_in(f"ipv4:{address}:{port}")

    def look(self, *, after: float = 0.0) -> set[Peer]:
        self.now += after
        self.keeper.look()
        return set(self.open)

    def ended(self, reason: str) -> float:
        return sample(self.metrics, "towpath_connections_ended_total", port="ads", reason=reason)


def test_who_was_not_let_in_in_time_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(monkeypatch, _room(first_call_s=10))
    port.connect(ATTACKER, 1, 2)
    port.connect(SIDECAR, 1, let_in=True)

    assert 3 == len(port.look(after=9.9))
    assert {(SIDECAR, 1)} == port.look(after=0.2)
    assert {(SIDECAR, 1)} == port.look(after=1000)
    assert 2 == port.ended("first-call")


def test_of_those_who_wait_the_oldest_of_whom_has_most_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = Port(monkeypatch, _room(connections=16))
    for number in range(6):
        port.connect(ATTACKER, number)
        port.look(after=0.1)
    port.connect(SIDECAR, 1)

    assert {(SIDECAR, 1), *((ATTACKER, n) for n in (3, 4, 5))} == port.look()
    assert 3 == port.ended("crowd")


def test_after_a_crowd_it_looks_again_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(monkeypatch, _room(connections=8, per_peer=4))
    port.connect(ATTACKER, 1, 2)
    quiet = port.keeper.look()
    port.connect(ATTACKER, 3)
    crowd = port.keeper.look()
    port.connect(SIDECAR, *range(5), let_in=True)
    many = port.keeper.look()

    assert [False, True, True, False] == [quiet, crowd, many, port.keeper.look()]


def test_of_as_many_the_one_who_came_last_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(monkeypatch, _room(connections=8))
    for address in (SIDECAR, OTHER, ATTACKER):
        port.connect(address, 1)
        port.now += 0.1

    assert {(SIDECAR, 1), (OTHER, 1)} == port.look()


def test_who_was_let_in_makes_no_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(monkeypatch, _room(connections=8))
    port.connect(SIDECAR, *range(10), let_in=True)
    port.connect(ATTACKER, *range(10))

    assert 2 == len(port.look() - {(SIDECAR, n) for n in range(10)})
    assert 0 == sum((SIDECAR, n) not in port.open for n in range(10))


def test_of_one_address_the_newest_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(monkeypatch, _room(per_peer=2))
    for number in range(4):
        port.connect(ATTACKER, number, let_in=True)
        port.now += 0.1
    port.connect(SIDECAR, 1, let_in=True)

    assert {(ATTACKER, 0), (ATTACKER, 1), (SIDECAR, 1)} == port.look()
    assert 2 == port.ended("per-address")


def test_a_port_that_is_used_again_has_to_be_let_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(monkeypatch, _room(first_call_s=10))
    port.connect(SIDECAR, 1, let_in=True)
    port.look()
    port.open.clear()
    port.look()
    port.connect(SIDECAR, 1)

    assert set() == port.look(after=10)


def test_who_is_to_connect_anew_is_ended_when_the_last_word_is_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = Port(monkeypatch, _room())
    port.connect(SIDECAR, 1, 2, let_in=True)
    for _ in range(2):
        port.keeper.hang_up(f"ipv4:{SIDECAR}:1")

    assert 2 == len(port.look())
    assert {(SIDECAR, 2)} == port.look(after=HANG_UP_S)
    assert 1 == port.ended("expired")
