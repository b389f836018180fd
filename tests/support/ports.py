"""Ports for servers of tests that are told where to listen.

They are below those that the kernel gives to outgoing connections: of these, another test's client
could take one between the choice and the server's `bind`.
"""

from __future__ import annotations

import random
import socket

PORTS = range(20_000, 32_000)
_random = random.SystemRandom()  # tests run in several processes, with one seed


def free_ports(count: int) -> list[int]:
    """So many different ones on loopback at which nobody listens."""
    ports: list[int] = []
    while len(ports) < count:
        port = _random.choice(PORTS)
        if port not in ports and _free(port):
            ports.append(port)
    return ports


def free_port() -> int:
    """One on loopback at which nobody listens."""
    return free_ports(1)[0]


def _free(port: int) -> bool:
    with socket.socket() as listener:
        # As a server does: what lingers of an earlier one does not matter.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
