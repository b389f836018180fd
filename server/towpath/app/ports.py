"""Ports: where gRPC is served, and to whom, whatever serves it there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.settings import split_address

if TYPE_CHECKING:
    from towpath.access.tls import ServerTls

UNIX = "unix:"


class Security(Enum):
    """How callers at an address are told."""

    NONE = auto()
    """In plaintext, by their address at most."""

    CERTIFICATE = auto()
    """By TLS: each must have a certificate."""

    TOKEN = auto()
    """By a token, over TLS."""

    LOCAL = auto()
    """In plaintext, from this machine alone."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ADS address (in plaintext without *tls*), the local socket, that of those who log in with
    a token (none without *tls*), and the local address.
    """

    address: str
    tls: ServerTls | None = None
    local_socket: Path | None = None
    token_address: str = ""
    local_address: str = ""

    @property
    def addresses(self) -> Iterator[tuple[str, str, Security]]:
        """Each address, behind the flag that gives it, and how callers are told there."""
        yield "--ads-address", self.address, Security.CERTIFICATE if self.tls else Security.NONE
        if self.tls is not None and self.token_address:
            yield "--ads-token-address", self.token_address, Security.TOKEN
        if self.local_address:
            yield "--local-address", self.local_address, Security.LOCAL


def check_free(flag: str, address: str) -> None:
    """Raises OSError if HOST:PORT cannot be bound, in words that name the flag."""
    if address.startswith(UNIX):
        return
    host, port = split_address(address)
    try:
        for family, kind, protocol, _, where in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        ):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
    except OSError as error:
        raise unbound(flag, address, error.strerror or error) from error


def check_unused(path: Path) -> None:
    """Raises OSError if somebody listens on the local socket: its path would be taken from him."""
    with socket.socket(socket.AF_UNIX) as other:
        if other.connect_ex(str(path)) == 0:
            raise unbound("--local-socket", str(path), "another process listens there")


def unbound(flag: str, address: str, reason: object) -> OSError:
    """What is raised when an address cannot be bound."""
    return OSError(f"{flag} {address} cannot be bound: {reason}")
