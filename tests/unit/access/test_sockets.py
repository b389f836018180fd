"""The connections of one port, found among the descriptors of this process."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from towpath.access.sockets import DESCRIPTORS, Connection, Peer, Sockets, parse_peer
from towpath.pause import Pause


class Listener:
    """A port of loopback, whose accepted connections nobody reads."""

    def __init__(self, family: socket.AddressFamily, address: str) -> None:
        self._held = ExitStack()
        self._socket = self._held.enter_context(socket.socket(family))
        if family is socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._socket.bind((address, 0))
        self._socket.listen()
        self.port: int = self._socket.getsockname()[1]

    def connect(self, address: str = "127.0.0.1") -> socket.socket:
        """A client's end; the other one is open as well."""
        client = self._held.enter_context(socket.create_connection((address, self.port)))
        self._held.enter_context(self._socket.accept()[0])
        return client

    def close(self) -> None:
        self._held.close()


def _look(sockets: Sockets) -> dict[Peer, Connection]:
    return asyncio.run(sockets.look(Pause(time.monotonic)))


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::")], ids=["v4", "dual"])
def listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    made = Listener(*request.param)
    yield made
    made.close()


def test_connections_of_the_port_are_there_by_their_peer_and_others_are_not(
    listener: Listener,
) -> None:
    other = Listener(socket.AF_INET, "127.0.0.1")
    other.connect()
    clients = [listener.connect() for _ in range(3)]
    found = _look(Sockets(listener.port, clock=time.monotonic))
    other.close()

    assert {client.getsockname()[:2] for client in clients} == found.keys()


def test_only_those_that_are_to_end_are_ended_at_once(listener: Listener) -> None:
    first, second = listener.connect(), listener.connect()
    sockets = Sockets(listener.port, clock=time.monotonic)
    sockets.end(_look(sockets)[first.getsockname()[:2]])
    first.settimeout(30)
    second.setblocking(False)

    assert b"" == first.recv(1)
    with pytest.raises(BlockingIOError):
        second.recv(1)


def test_a_connection_keeps_the_time_when_it_was_first_seen(listener: Listener) -> None:
    times = iter(range(100))
    sockets = Sockets(listener.port, clock=lambda: float(next(times)))
    peer = listener.connect().getsockname()[:2]
    before = _look(sockets)[peer].since
    listener.connect()

    assert before == _look(sockets)[peer].since


def test_a_descriptor_that_is_anothers_by_now_is_left_alone(listener: Listener) -> None:
    client, sockets = listener.connect(), Sockets(listener.port, clock=time.monotonic)
    gone = _look(sockets)[client.getsockname()[:2]]
    gone.inode += 1
    sockets.end(gone)
    client.setblocking(False)

    with pytest.raises(BlockingIOError):
        client.recv(1)


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("ipv4:10.0.0.1:80", ("10.0.0.1", 80)),
        ("ipv6:%5B::1%5D:80", ("::1", 80)),
        ("ipv6:[::ffff:10.0.0.1]:80", ("10.0.0.1", 80)),
        ("ipv6:%5Bfe80::1%25eth0%5D:80", ("fe80::1", 80)),
        ("unix:", None),
        ("unix:/run/ads.sock", None),
        ("", None),
    ],
)
def test_a_peer_is_read_as_grpc_writes_it(text: str, peer: tuple[str, int] | None) -> None:
    assert peer == parse_peer(text)


def test_ipv4_and_ipv6_connections_to_one_port_are_told_apart() -> None:
    listener = Listener(socket.AF_INET6, "::")
    listener.connect("127.0.0.1"), listener.connect("::1")
    found = _look(Sockets(listener.port, clock=time.monotonic))
    listener.close()

    assert {"127.0.0.1", "::1"} == {address for address, _ in found}


async def test_a_look_at_many_sockets_lets_others_run(listener: Listener) -> None:
    for _ in range(20):
        listener.connect()
    times = iter(range(10_000))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    sockets = Sockets(listener.port, clock=time.monotonic)
    found = await sockets.look(Pause(lambda: float(next(times))))  # each part is a long one
    running.cancel()

    assert 20 == len(found)
    assert turns >= 20


def test_sockets_of_other_families_are_none_of_the_port(listener: Listener) -> None:
    pair = socket.socketpair()
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with pair[0], pair[1], netlink:
        netlink.bind((0, 0))
        found = _look(Sockets(listener.port, 0, clock=time.monotonic))

    assert {} == found


async def test_whether_there_may_be_others_is_seen_by_the_number_of_descriptors(
    listener: Listener,
) -> None:
    sockets = Sockets(listener.port, clock=time.monotonic)
    at_first = sockets.may_differ()
    await sockets.look(Pause(time.monotonic))
    without_a_change = sockets.may_differ()
    listener.connect()

    assert at_first
    assert sockets.may_differ()
    # Older systems do not say how many there are.
    assert without_a_change == (DESCRIPTORS.stat().st_size == 0)
