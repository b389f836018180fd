"""Who may stay connected: those who were let in, and for a while a few others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.samples import sample
from towpath.access.doorkeeper import HANG_UP_S, LONGEST_BEHIND_S, Doorkeeper, Room
from towpath.access.sockets import Connection, Peer, Sockets
from towpath.pause import Pause
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
        monkeypatch.setattr(sockets, "look", self._found)
        monkeypatch.setattr(sockets, "end", self._end)
        self.keeper._sockets = sockets
        self.during_look: Callable[[], None] = lambda: None
        self.while_ending: Callable[[], None] = lambda: None

    async def _found(self, _: Pause) -> dict[Peer, Connection]:
        found = dict(self.open)
        self.during_look()
        return found

    def _end(self, connection: Connection) -> None:
        assert connection.peer is not None
        del self.open[connection.peer]
        self.while_ending()

    def connect(self, address: str, *ports: int, let_in: bool = False) -> None:
        for port in ports:
            self.open[address, port] = Connection(0, 0, (address, port), self.now)
            if let_in:
                self.keeper.let_in(f"ipv4:{address}:{port}")

    def look(self, *, after: float = 0.0, late: float = 0.0) -> set[Peer]:
        self.now += after
        self.crowded = asyncio.run(self.keeper.look(Pause(lambda: self.now), late=late))
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


def test_while_the_server_is_slow_the_newest_of_whom_has_most_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = Port(monkeypatch, _room(connections=16))
    for number in range(6):
        port.connect(SIDECAR, number)
        port.now += 0.1

    assert {(SIDECAR, number) for number in range(4)} == port.look(late=5)


def test_after_a_crowd_it_looks_again_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(monkeypatch, _room(connections=8, per_peer=4))
    crowded = []
    for attackers, let_in in (((1, 2), ()), ((3,), ()), ((), range(5)), ((), ())):
        port.connect(ATTACKER, *attackers)
        port.connect(SIDECAR, *let_in, let_in=True)
        port.look()
        crowded.append(port.crowded)

    assert [False, True, True, False] == crowded


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


def test_who_comes_or_is_sent_away_during_a_look_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = Port(monkeypatch, _room(first_call_s=10))

    def come_and_go() -> None:
        port.connect(SIDECAR, 1, 2, let_in=True)
        port.keeper.hang_up(f"ipv4:{SIDECAR}:2")
        port.during_look = lambda: None

    port.during_look = come_and_go
    port.look()

    assert {(SIDECAR, 1)} == port.look(after=HANG_UP_S)
    assert {(SIDECAR, 1)} == port.look(after=1000)


def test_who_waits_as_the_server_is_slow_has_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(monkeypatch, _room(first_call_s=10))
    port.connect(SIDECAR, *range(5))
    port.look(after=9)
    port.keeper.let_in(f"ipv4:{SIDECAR}:0")

    assert 5 == len(port.look(after=9.9))  # 18.9 s: the first had to wait for 9
    port.keeper.let_in(f"ipv4:{SIDECAR}:1")
    assert 5 == len(port.look(after=9.9))


def test_when_nobody_is_let_in_any_more_the_additional_time_goes_by_halves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = Port(monkeypatch, _room(first_call_s=10))
    port.connect(SIDECAR, 1, 2)
    port.look(after=8)
    port.keeper.let_in(f"ipv4:{SIDECAR}:1")

    assert 2 == len(port.look(after=3))  # 11 s, of 18
    assert 2 == len(port.look(after=2))  # 13 s, of 14
    assert 1 == len(port.look())  # 13 s, of 12


def test_one_that_is_let_in_at_once_shows_that_the_server_is_not_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = Port(monkeypatch, _room(first_call_s=10))
    port.connect(ATTACKER, 1, 2)
    port.look(after=9)
    port.keeper.let_in(f"ipv4:{ATTACKER}:1")
    port.connect(SIDECAR, 1, let_in=True)

    assert {(ATTACKER, 1), (SIDECAR, 1)} == port.look(after=1)


def test_further_calls_of_an_old_connection_give_nobody_more_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = Port(monkeypatch, _room(first_call_s=10))
    port.connect(SIDECAR, 1, let_in=True)
    port.look(after=1000)
    port.connect(ATTACKER, 1)
    for _ in range(10):
        port.keeper.let_in(f"ipv4:{SIDECAR}:1")
        port.look(after=1)

    assert {(SIDECAR, 1)} == set(port.open)


def test_after_the_event_loop_was_held_all_have_as_much_more_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = Port(monkeypatch, _room(first_call_s=10))
    port.connect(SIDECAR, 1)

    assert {(SIDECAR, 1)} == port.look(after=25, late=24)
    assert set() == port.look(after=1)


def test_who_calls_while_others_are_ended_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(monkeypatch, _room(first_call_s=10))
    port.connect(SIDECAR, *range(5))
    port.while_ending = lambda: port.keeper.let_in(f"ipv4:{SIDECAR}:3")

    assert {(SIDECAR, 3)} == port.look(after=10)
    assert 4 == port.ended("first-call")


def test_a_slow_server_gives_no_more_than_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port(monkeypatch, _room(first_call_s=10))
    port.connect(SIDECAR, 1)

    assert {(SIDECAR, 1)} == port.look(after=10 + LONGEST_BEHIND_S - 0.1, late=1000)
    assert set() == port.look(after=0.1, late=1000)


async def test_while_nobody_comes_goes_or_waits_nobody_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keeper = Doorkeeper(_room(), metrics=Metrics(), clock=time.monotonic)
    asked, looks, open_ = 0, 0, dict[Peer, Connection]()
    differ = False

    async def look(*_: object) -> dict[Peer, Connection]:
        nonlocal looks
        looks += 1
        return dict(open_)

    def may_differ(_: Sockets) -> bool:
        nonlocal asked
        asked += 1
        return differ

    async def looks_after(questions: int) -> int:
        before, until = looks, asked + questions
        while asked < until and looks == before:
            await asyncio.sleep(0.001)
        return looks - before

    monkeypatch.setattr(Sockets, "look", look)
    monkeypatch.setattr(Sockets, "may_differ", may_differ)
    monkeypatch.setattr("towpath.access.doorkeeper.LOOK_EVERY_S", 0.001)
    keeping = asyncio.create_task(keeper.keep(1))
    async with asyncio.timeout(60):
        quiet = await looks_after(20)
        open_[SIDECAR, 1] = Connection(0, 0, (SIDECAR, 1), time.monotonic())
        differ = True
        come = await looks_after(20)
        differ = False
        waiting = await looks_after(20)
        keeper.let_in(f"ipv4:{SIDECAR}:1")
        let_in = await looks_after(20)
        quiet_again = await looks_after(20)
    keeping.cancel()
    await asyncio.wait({keeping})

    assert (1, 1, 1) == (come, waiting, let_in)
    assert quiet <= 1  # the first one
    assert quiet_again <= 1  # one may have begun already


async def test_where_sockets_cannot_be_seen_nothing_is_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("towpath.access.sockets.DESCRIPTORS", tmp_path / "none")
    keeper = Doorkeeper(_room(), metrics=Metrics(), clock=lambda: 0.0)
    await keeper.keep(1)
    keeper.let_in("ipv4:10.0.0.1:1")
    keeper.hang_up("ipv4:10.0.0.1:1")
    await keeper.end_all()

    assert [0] * 4 == [
        len(kept) for kept in (keeper._let_in, keeper._came, keeper._called, keeper._leaving)
    ]
