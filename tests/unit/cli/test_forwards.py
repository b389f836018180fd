"""The event loop of port-forwards, which leaves nothing open when a command ends."""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import create_server, socket

import pytest

from support.certificates import Certificates
from towpath.cli import forwards


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[tuple[int, ssl.SSLContext]]:
    """The port of a server that says nothing more once TLS has begun, and what trusts it."""
    files = Certificates(tmp_path, name="tests").server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    accepted: list[socket] = []

    def serve() -> None:
        with context.wrap_socket(listener.accept()[0], server_side=True) as one:
            accepted.append(one)
            over.wait()

    over = threading.Event()
    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], ssl.create_default_context(cafile=str(files.ca))
        over.set()
        thread.join()


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.filterwarnings("error")
def test_a_connection_that_the_other_end_does_not_close_is_ended_with_the_loop(
    silent: tuple[int, ssl.SSLContext], *, closes: bool
) -> None:
    port, trusts = silent

    async def connect() -> None:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusts, server_hostname="localhost"
        )
        if closes:
            writer.close()
        else:
            left.append(writer)

    left: list[asyncio.StreamWriter] = []
    with forwards._Loop() as loop:
        loop.run(connect())
    left.clear()
    gc.collect()  # which warns of what nobody has closed
