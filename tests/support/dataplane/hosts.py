"""The servers of the data-plane tests: what pods call, outside and inside the mesh.

They run in a thread with an event loop of its own, so a test may block without starving them.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from support.certificates import Certificates
from support.dataplane.dns import NameServer
from support.dataplane.netns import Namespace
from support.dataplane.network import NAME_SERVER, OUTSIDE, ROUTER, Network
from support.dataplane.sink import Sink

T = TypeVar("T")

HTTP_PORT, HTTPS_PORT, ECHO_PORT, BANNER_PORT = 80, 443, 9000, 9001
OTHER_HTTP_PORT = 8080
APP_PORT, APP_BANNER_PORT = 8080, 9100
APP_TLS_PORT = 8443
MIRROR_PORT = 9200
FLAKY_PORT = 9300
BOOKS_PORT, MYSQL_PORT = 14001, 3306
FUZZ_PORTS = (7001, 7002)
IN_MESH_FUZZ_PORTS = (7011, 7012, 7013, 7014)
FUZZ_NAMES = {
    "a.fuzz.test": OUTSIDE[4],
    "b.a.fuzz.test": OUTSIDE[5],
    "c.b.a.fuzz.test": OUTSIDE[6],
    "x.fuzz.test": OUTSIDE[7],
    "other.fuzz.org": OUTSIDE[8],
}
NAMES = {
    **FUZZ_NAMES,
    "httpbin.org": OUTSIDE[0],
    "openservicemesh.io": OUTSIDE[1],
    "*.wild.test": OUTSIDE[2],
    "wild.test": OUTSIDE[3],
    "*.slow.test": OUTSIDE[0],
    "*.fast.test": OUTSIDE[0],
}
"""What the name server knows; other names do not exist."""

OUTSIDE_NAMES = ("outside.test", *NAMES)
CONTROL_PLANE = "towpath.osm-system.svc.cluster.local"
ANSWERS = {**NAMES, CONTROL_PLANE: ROUTER}
BANNER = b"220 ready\r\n"
_END_OF_HEAD = b"\r\n\r\n"
_UPGRADED = b"Connection: Upgrade\r\nUpgrade: tcp"


class _Connection(asyncio.Protocol):
    """One connection that its server can cut."""

    def __init__(self, served: set[_Connection]) -> None:
        self._served = served
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._served.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._served.discard(self)
        self.closed.set_result(None)


class _Http(_Connection):
    """Answers each request that has no body with the server's name; keeps the connection.

    A header says at which address it was reached; `/echo` gives back the request's own head, and
    `/own-403` a refusal of the application's own.
    """

    def __init__(self, served: set[_Connection], name: str) -> None:
        super().__init__(served)
        self._body = f"{name}\n".encode()
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while _END_OF_HEAD in self._received:
            head, _, self._received = self._received.partition(_END_OF_HEAD)
            content = head + b"\r\n" if b" /echo " in head else self._body
            status = b"200 OK"
            if b" /own-403 " in head:
                status, content = b"403 Forbidden", b"not you\n"
            address, port = self.transport.get_extra_info("sockname")
            fields = f"content-length: {len(content)}\r\nx-served-at: {address}:{port}\r\n\r\n"
            body = b"" if head.startswith(b"HEAD ") else content
            self.transport.write(
                b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\n" % status + fields.encode() + body
            )
            if b"\r\nconnection: close" in head.lower():
                self.transport.close()


class _Flaky(_Connection):
    """Fails the first N requests for a path `/N/…` with 503, and answers later ones with how many
    there have been.
    """

    def __init__(self, served: set[_Connection], attempts: Counter[str]) -> None:
        super().__init__(served)
        self._attempts = attempts
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while _END_OF_HEAD in self._received:
            head, _, self._received = self._received.partition(_END_OF_HEAD)
            path = head.split(b" ")[1].decode()
            self._attempts[path] += 1
            fails = self._attempts[path] <= int(path.split("/")[1])
            body = b"%d" % self._attempts[path]
            status = b"503 Not Yet" if fails else b"200 OK"
            length = b"\r\ncontent-length: %d" % len(body)
            self.transport.write(b"HTTP/1.1 " + status + length + _END_OF_HEAD + body)


class _Echo(_Connection):
    """Sends back what it receives."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class _Banner(_Echo):
    """Speaks first, as mail and database servers do, then sends back what it receives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(BANNER)


class _Mirror(_Connection):
    """Answers an HTTP request with all its bytes as they came; changes the protocol if asked to."""

    def __init__(self, served: set[_Connection]) -> None:
        super().__init__(served)
        self._received = b""
        self._changed = False

    def data_received(self, data: bytes) -> None:
        if self._changed:
            self.transport.write(data)
            return
        self._received += data
        head, end, body = self._received.partition(_END_OF_HEAD)
        chunked = b"transfer-encoding: chunked" in head.lower()
        if not end or (chunked and not (b"0\r\n" in body and body.endswith(_END_OF_HEAD))):
            return
        received, self._received = self._received, b""
        if b"\r\nupgrade: " in head.lower():
            self._changed = True
            self.transport.write(b"HTTP/1.1 101 As You Like\r\n" + _UPGRADED + _END_OF_HEAD)
            return
        length = f"Content-Length: {len(received)}\r\nX-CamelCase: Kept".encode()
        self.transport.write(b"HTTP/1.1 200 Fine\r\n" + length + _END_OF_HEAD + received)


class Hosts:
    """All servers; `ca` is the file that HTTPS clients trust, `attempts` the requests by path that
    reached a server which fails at first.
    """

    def __init__(self, folder: Path) -> None:
        files = Certificates(folder).issue("outside", dns=OUTSIDE_NAMES, addresses=OUTSIDE)
        self.ca = files.ca
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(files.certificate, files.key)
        self._served: set[_Connection] = set()
        self.attempts: Counter[str] = Counter()
        self._listening: list[asyncio.Server] = []
        self._names = NameServer(ANSWERS)
        self._name_transport: asyncio.BaseTransport | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hosts", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def serve(self, network: Network) -> None:
        """Serve the outside host (at all of its addresses) and the application of each pod."""
        outside = network.outside
        self._listen(outside, HTTP_PORT, partial(_Http, self._served, "outside"))
        self._listen(outside, HTTPS_PORT, partial(_Http, self._served, "outside"), tls=self._tls)
        self._listen(outside, OTHER_HTTP_PORT, partial(_Http, self._served, "outside"))
        self._listen(outside, ECHO_PORT, partial(_Echo, self._served))
        self._listen(outside, BANNER_PORT, partial(_Banner, self._served))
        for port in FUZZ_PORTS:
            self._listen(outside, port, Sink)
        self._listen(outside, MIRROR_PORT, partial(_Mirror, self._served))
        self._name_server(outside)
        for name, pod in network.pods.items():
            self._listen(pod, APP_PORT, partial(_Http, self._served, name))
            self._listen(pod, APP_BANNER_PORT, partial(_Banner, self._served))
            self._listen(pod, APP_TLS_PORT, partial(_Http, self._served, name), tls=self._tls)
            self._listen(pod, ECHO_PORT, partial(_Echo, self._served))
            self._listen(pod, MIRROR_PORT, partial(_Mirror, self._served))
            self._listen(pod, BOOKS_PORT, partial(_Http, self._served, name))
            self._listen(pod, MYSQL_PORT, partial(_Banner, self._served))
            self._listen(pod, FLAKY_PORT, partial(_Flaky, self._served, self.attempts))
            for port in IN_MESH_FUZZ_PORTS:
                self._listen(pod, port, Sink)

    @property
    def asked(self) -> dict[str, int]:
        """How often the name server was asked for each name."""
        return dict(self._names.asked)

    def _listen(
        self,
        namespace: Namespace,
        port: int,
        connection: Callable[[], asyncio.Protocol],
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        listening = namespace.listen("0.0.0.0", port)
        server = self._run(self._loop.create_server(connection, sock=listening, ssl=tls))
        self._listening.append(server)

    def _name_server(self, namespace: Namespace) -> None:
        bound = namespace.bind_datagrams(NAME_SERVER, 53)
        serving = self._loop.create_datagram_endpoint(lambda: self._names, sock=bound)
        self._name_transport, _ = self._run(serving)

    def _run(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _close(self) -> None:
        if self._name_transport is not None:
            self._name_transport.close()
        for server in self._listening:
            server.close()
        served = tuple(self._served)
        for connection in served:
            connection.transport.abort()
        await asyncio.gather(*(connection.closed for connection in served))
