"""The connections of TCP ports of this process, found among its descriptors.

gRPC accepts connections itself and hands out nothing of them before a call; but a descriptor is
anybody's in its process, and to shut one down is what its peer could do as well at any time.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from towpath.pause import Pause

DESCRIPTORS = Path("/proc/self/fd")
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: what the peer has not read is thrown away."""

LARGE, MOST_READS = 1 << 20, 64
"""Bytes, and how often at most; a socket's buffer has a few MiB."""

Peer = tuple[str, int]
"""Address (an IPv4 address as itself, however it is written) and port."""


@dataclass(slots=True, eq=False)
class Connection:
    """One that was first seen at *since*; *peer* is None for what is none of the port's."""

    descriptor: int
    inode: int
    peer: Peer | None
    since: float


class Sockets:
    """Those of *ports*; *clock* is monotonic, in seconds."""

    def __init__(self, *ports: int, clock: Callable[[], float]) -> None:
        self._ports = frozenset(ports)
        self._clock = clock
        self._known: dict[int, Connection] = {}
        self._count = 0  # of descriptors, before the last look

    def may_differ(self) -> bool:
        """True unless there are as many descriptors as at the last look: who looks only then looks
        now and then all the same, as one may have come for another that has gone.
        """
        return self._count == 0 or self._count != _count_of_descriptors()

    async def look(self, pause: Pause) -> dict[Peer, Connection]:
        """The connections that there are, but for some that come meanwhile. Raises OSError where
        the system does not tell.
        """
        connections: dict[int, Connection] = {}
        self._count = _count_of_descriptors()
        since = self._clock()
        for name in os.listdir(DESCRIPTORS):  # noqa: PTH208 - a Path for each costs thrice as much
            await pause.if_due()
            descriptor = int(name)
            try:
                status = os.fstat(descriptor)
            except OSError:
                continue
            if stat.S_ISSOCK(status.st_mode):
                before = self._known.get(descriptor)
                if before is None or before.inode != status.st_ino:
                    before = Connection(descriptor, status.st_ino, None, since)
                    self._recognize(before)
                connections[descriptor] = before
        self._known = connections
        return {one.peer: one for one in connections.values() if one.peer is not None}

    def end(self, connection: Connection) -> None:
        """Shut it down; gRPC sees that it has ended."""
        with contextlib.suppress(OSError), _same(connection) as duplicate:
            if duplicate is not None:
                duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                duplicate.shutdown(socket.SHUT_RDWR)
                # What it has sent and nobody has read would be read before the end is seen.
                for _ in range(MOST_READS):
                    if not duplicate.recv(LARGE, socket.MSG_DONTWAIT):
                        break

    def _recognize(self, connection: Connection) -> None:
        """Find out whose it is."""
        with contextlib.suppress(OSError):
            ours, others = _ends(connection.descriptor)
            # It may be another's by now, which the next look finds out.
            if os.fstat(connection.descriptor).st_ino != connection.inode:
                return
            if _is_inet(ours) and ours[1] in self._ports:
                connection.peer = _peer(others[0], others[1])


def _count_of_descriptors() -> int:
    """How many this process has; 0 where the system does not say it, as before Linux 6.2."""
    return DESCRIPTORS.stat().st_size


def _ends(descriptor: int) -> tuple[Any, Any]:
    """Both ends of a socket, with as few calls of the system as that takes: told what kind it is,
    Python asks for no more, and what it says of an address hangs on the address alone.
    """
    one = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 0, fileno=descriptor)
    try:
        return one.getsockname(), one.getpeername()
    finally:
        one.detach()


def _is_inet(end: object) -> bool:
    return isinstance(end, tuple) and isinstance(end[0], str) and len(end) in (2, 4)


@contextlib.contextmanager
def _same(connection: Connection) -> Iterator[socket.socket | None]:
    """The connection's socket, by a descriptor of our own; None if it is another's by now."""
    with socket.socket(fileno=os.dup(connection.descriptor)) as duplicate:
        yield duplicate if os.fstat(duplicate.fileno()).st_ino == connection.inode else None


def parse_peer(text: str) -> Peer | None:
    """What gRPC calls a peer (`ipv4:10.0.0.1:80`, `ipv6:%5B::1%5D:80`); None if not by TCP."""
    scheme, _, rest = text.partition(":")
    address, _, port = unquote(rest).rpartition(":")
    if scheme not in ("ipv4", "ipv6") or not port.isdecimal():
        return None
    return _peer(address.strip("[]"), int(port))


def _peer(address: str, port: int) -> Peer:
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip), port
