"""A way out of a namespace, to what listens on the machine's loopback: an API server, for one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from support.dataplane.netns import Namespace


@contextmanager
def passage(namespace: Namespace, port: int) -> Iterator[None]:
    """Connections to 127.0.0.1:*port* inside are passed on to the same address outside."""
    listening = namespace.listen("127.0.0.1", port)
    joined: list[socket.socket] = [listening]

    def accept() -> None:
        with suppress(OSError):
            while True:
                inside, _ = listening.accept()
                outside = socket.create_connection(("127.0.0.1", port))
                joined.extend((inside, outside))
                for ends in ((inside, outside), (outside, inside)):
                    threading.Thread(target=_copy, args=ends, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        for one in joined:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
