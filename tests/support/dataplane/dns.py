"""A name server for the tests: A records of the names it was given, and nothing else.

It counts the questions, by name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections import Counter
from collections.abc import Mapping
from typing import cast

_A, _ANSWER, _NXDOMAIN, _NO_ERROR = 1, 0x8180, 3, 0
_TTL_S = 5
_TTLS_S = {"slow.test": 300, "fast.test": 1}
"""Seconds that an answer holds, by the end of the name; others: `_TTL_S`."""
_HEADER = 12


class NameServer(asyncio.DatagramProtocol):
    """Answers one question a message; `*.x.test` stands for every name below `x.test`."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self.asked: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own transport of datagrams is no subclass of its abstract one.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = _question(data)
        self.asked[name] += 1
        kind = struct.unpack_from(">H", data, end)[0]
        address = self._names.get(name) or self._names.get("*." + name.partition(".")[2])
        answers = b""
        if address is not None and kind == _A:
            packed = ipaddress.IPv4Address(address).packed
            answers = b"\xc0\x0c" + struct.pack(">HHIH", _A, 1, _ttl(name), 4) + packed
        code = _NO_ERROR if address is not None else _NXDOMAIN
        head = struct.pack(">HHHHH", _ANSWER | code, 1, 1 if answers else 0, 0, 0)
        self._transport.sendto(data[:2] + head + data[_HEADER : end + 4] + answers, addr)


def _ttl(name: str) -> int:
    return next((ttl for end, ttl in _TTLS_S.items() if name.endswith(end)), _TTL_S)


def _question(data: bytes) -> tuple[str, int]:
    """The name that is asked for, and where it ends."""
    at, labels = _HEADER, []
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    return ".".join(labels), at + 1
