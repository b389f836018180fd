"""HTTP/1 requests byte for byte, and what of them arrives at a server that mirrors them."""

from __future__ import annotations

from support.dataplane.clients import Address
from support.dataplane.netns import Namespace

END = b"\r\n\r\n"

REQUESTS: dict[str, bytes] = {
    "letter case of names": b"GET /a?B=%2f HTTP/1.1\r\nHost: httpbin.org\r\nX-CamelCase: 1\r\n\r\n",
    "x-forwarded-proto": b"GET /a HTTP/1.1\r\nHost: httpbin.org\r\n"
    b"X-Forwarded-Proto: https\r\n\r\n",
    "x-forwarded-*": b"GET /a HTTP/1.1\r\nHost: httpbin.org\r\nX-Forwarded-For: 192.0.2.1\r\n"
    b"X-Request-Id: mine\r\n\r\n",
    "200 headers": b"GET /a HTTP/1.1\r\nHost: httpbin.org\r\n"
    + b"".join(b"X-%d: 1\r\n" % number for number in range(200))
    + b"\r\n",
    "200 KiB of headers": b"GET /a HTTP/1.1\r\nHost: httpbin.org\r\nX-Long: "
    + b"a" * 200_000
    + END,
    "expectation": b"POST /a HTTP/1.1\r\nHost: httpbin.org\r\nExpect: 100-continue\r\n"
    b"Content-Length: 0\r\n\r\n",
}
"""Requests that arrive just as they are sent."""

_TRAILERS = (
    b"POST /a HTTP/1.1\r\nHost: httpbin.org\r\n%s\r\n%s\r\n\r\n3\r\nabc\r\n0\r\n%s: 1\r\n\r\n"
)
_CHUNKED, _ANNOUNCED = b"Transfer-Encoding: chunked", b"Trailer: X-Sum"
CHANGED: dict[str, tuple[bytes, bytes]] = {
    "a method that Envoy does not know": (
        b"FROBNICATE /a HTTP/1.1\r\nHost: httpbin.org\r\n\r\n",
        b"FROBNICATE /a HTTP/1.1\r\nHost: httpbin.org\r\ncontent-length: 0\r\n\r\n",
    ),
    "trailers": (
        _TRAILERS % (_CHUNKED, _ANNOUNCED, b"X-Sum"),
        _TRAILERS % (_ANNOUNCED, _CHUNKED, b"x-sum"),
    ),
    "HTTP/1.0 without a host": (
        b"GET /a HTTP/1.0\r\nX-A: 1\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: host-not-given.invalid\r\nX-A: 1\r\n\r\n",
    ),
}
"""Requests that Envoy cannot pass on as they are, and how they arrive."""


def answer(pod: Namespace, address: Address, request: bytes) -> tuple[bytes, bytes]:
    """Head and body of the mirror's answer to one request."""
    with pod.connect(*address) as connection:
        connection.sendall(request)
        received = b""
        while END not in received:
            received += _more(connection.recv(65536))
        head, _, body = received.partition(END)
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        while len(body) < length:
            body += _more(connection.recv(65536))
    return head, body


def upgraded(pod: Namespace, address: Address, protocol: bytes) -> tuple[bytes, bytes]:
    """The answer's first line to a client that changes to *protocol*, and what it hears then."""
    with pod.connect(*address) as connection:
        connection.sendall(
            b"GET /a HTTP/1.1\r\nHost: httpbin.org\r\nConnection: Upgrade\r\nUpgrade: "
            + protocol
            + END
        )
        head = connection.recv(65536)
        connection.sendall(b"hello\n")
        return head.partition(b"\r\n")[0], connection.recv(100)


def _more(data: bytes) -> bytes:
    if not data:
        raise ConnectionError("the answer ended early")
    return data
