"""Addresses to listen on."""

from __future__ import annotations

import ipaddress

from towpath.settings.declaration import Form

UNIX = "unix:"


def split_address(address: str) -> tuple[str, int]:
    """HOST:PORT (the host may be in brackets) as its two parts; ValueError if it is not that."""
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) <= 65535):
        raise ValueError(f"{address!r} is not HOST:PORT with a port of 0 to 65535")
    return host.strip("[]"), int(port)


def is_tcp(address: str) -> bool:
    """True for HOST:PORT."""
    try:
        split_address(address)
    except ValueError:
        return False
    return True


def is_tcp_or_unix(address: str) -> bool:
    """True for HOST:PORT, and for unix:/PATH."""
    return address.startswith(UNIX) or is_tcp(address)


def is_loopback(address: str) -> bool:
    """True if nobody on another machine can reach that HOST:PORT."""
    host, _ = split_address(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


TCP_OR_NONE = Form(
    "HOST:PORT with a port of 0 to 65535, or nothing", lambda text: not text or is_tcp(text)
)
