"""What somebody who means ill does to a port, on plain sockets."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _CONTINUATION = 0, 1, 3, 4, 6, 9
_ACK = 1
_END_STREAM, _END_HEADERS = 1, 4


def frame(kind: int, flags: int, body: bytes = b"", stream: int = 0) -> bytes:
    """An HTTP/2 frame of a stream, or of the connection itself."""
    head = struct.pack(">I", len(body))[1:] + bytes((kind, flags))
    return head + struct.pack(">I", stream) + body


def headers(path: str) -> bytes:
    """A gRPC request's headers for HPACK, that need no table."""
    pairs = (
        *((b":method", b"POST"), (b":scheme", b"http"), (b":path", path.encode())),
        *((b":authority", b"localhost"), (b"content-type", b"application/grpc")),
        (b"te", b"trailers"),
    )
    return b"".join(b"\0" + bytes((len(k),)) + k + bytes((len(v),)) + v for k, v in pairs)


def request(stream: int, path: str, *, ended: bool = False) -> bytes:
    """Frames that open a gRPC call."""
    flags = _END_HEADERS | (_END_STREAM if ended else 0)
    return frame(_HEADERS, flags, headers(path), stream)


def reset(stream: int) -> bytes:
    """A frame that ends a call of ours."""
    return frame(_RESET, 0, struct.pack(">I", 8), stream)


def ping() -> bytes:
    return frame(_PING, 0, bytes(8))


@contextlib.contextmanager
def speaking(port: int) -> Iterator[socket.socket]:
    """A connection that has begun to speak HTTP/2."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
        one.sendall(PREFACE + frame(_SETTINGS, 0) + frame(_SETTINGS, _ACK))
        yield one


def heard(one: socket.socket) -> bool:
    """Wait until what was said so far is taken in; false if the server ends the connection."""
    data = b""
    with contextlib.suppress(OSError):
        one.sendall(ping())
        while more := one.recv(65536):
            data += more
            while len(data) >= 9 and len(data) >= (end := 9 + int.from_bytes(data[:3], "big")):
                if data[3] == _PING and data[4] & _ACK:
                    return True
                data = data[end:]
    return False


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


def rapid_reset(one: socket.socket, path: str) -> None:
    """Open and reset calls, a few at a time, as fast as they are taken in."""
    for first in range(1, 20_001, 20):
        numbers = range(first, first + 20, 2)
        one.sendall(b"".join(request(n, path) + reset(n) for n in numbers))


def endless_headers(one: socket.socket, path: str) -> None:
    """Headers of one call that do not end: 20 MB of them."""
    more = b"\0\x03abc\x7d" + bytes(125)
    one.sendall(frame(_HEADERS, 0, headers(path), 1))
    for _ in range(150):
        one.sendall(frame(_CONTINUATION, 0, more, 1) * 1000)


def settings(one: socket.socket, _: str) -> None:
    """Settings again and again, whose acknowledgements are not read."""
    for _number in range(500):
        one.sendall(frame(_SETTINGS, 0, struct.pack(">HI", 4, 65_535)) * 1000)


def pings(one: socket.socket, _: str) -> None:
    """Pings whose answers are not read."""
    for _number in range(500):
        one.sendall(ping() * 1000)


def empty_data(one: socket.socket, path: str) -> None:
    """Parts of a request that hold nothing."""
    one.sendall(request(1, path))
    for _ in range(500):
        one.sendall(frame(_DATA, 0, b"", 1) * 1000)


def half_a_call(one: socket.socket, path: str) -> None:
    """Headers that are said in part."""
    one.sendall(request(1, path)[:20])


def slow_reader(one: socket.socket, path: str) -> None:
    """Calls whose responses have no room: the client opens no window."""
    one.sendall(frame(_SETTINGS, 0, struct.pack(">HI", 4, 0)))
    for number in range(1, 4001, 2):
        body = frame(_DATA, _END_STREAM, bytes(5), number)
        one.sendall(request(number, path) + body)


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
