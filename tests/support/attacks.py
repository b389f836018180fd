"""What somebody who means ill does to a port, on plain sockets."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS, _PING, _ACK = 4, 6, 1


def frame(kind: int, flags: int, body: bytes = b"") -> bytes:
    """An HTTP/2 frame of the connection itself."""
    return struct.pack(">I", len(body))[1:] + bytes((kind, flags)) + struct.pack(">I", 0) + body


@contextlib.contextmanager
def silent(port: int, count: int, *, opening: bytes = b"") -> Iterator[list[socket.socket]]:
    """*count* connections that say so much and no more."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            with contextlib.suppress(OSError):
                one.sendall(opening)
            sockets.append(one)
        yield sockets


def still_open(sockets: list[socket.socket]) -> int:
    """How many the server has not ended."""
    count = 0
    for one in sockets:
        one.setblocking(False)
        try:
            while one.recv(4096):
                pass
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


@contextlib.contextmanager
def reopening(port: int, *, addresses: int, each: int) -> Iterator[Counter[str]]:
    """Clients of so many addresses, with so many connections each, open another one for each that
    the server ends, as fast as they can. Counts what was "opened" and "ended".
    """
    ended = threading.Event()
    counts: Counter[str] = Counter()

    def client(number: int) -> None:
        source = (f"127.0.{1 + number // 250}.{1 + number % 250}", 0)
        sockets: list[socket.socket] = []
        while not ended.is_set():
            with contextlib.suppress(OSError):
                while len(sockets) < each:
                    one = socket.create_connection(("127.0.0.1", port), 5, source)
                    sockets.append(one)
                    counts["opened"] += 1
            alive = [one for one in sockets if still_open([one])]
            for one in set(sockets) - set(alive):
                one.close()
            counts["ended"] += len(sockets) - len(alive)
            sockets = alive
            ended.wait(0.01)
        for one in sockets:
            one.close()

    threads = [threading.Thread(target=client, args=(n,), daemon=True) for n in range(addresses)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        ended.set()
        for thread in threads:
            thread.join(10)


@contextlib.contextmanager
def ping_flood(port: int, *, connections: int = 4) -> Iterator[None]:
    """HTTP/2 connections that ping without an end and read nothing of what is answered."""
    ended = threading.Event()

    def flood() -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as one:
            one.settimeout(0.2)
            one.sendall(PREFACE + frame(_SETTINGS, 0) + frame(_SETTINGS, _ACK))
            pings = frame(_PING, 0, bytes(8)) * 1000
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    one.sendall(pings)

    threads = [threading.Thread(target=flood, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(5)
