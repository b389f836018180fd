"""An application that the kubelet probes: HTTP, HTTPS, gRPC's health protocol, and an open port.

Run it with a certificate and a key; each line that it reads says what is healthy from then on:
`http on`, `https off`, `grpc off`, `shop off` (a service of gRPC), `tcp off`.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

HTTP, HTTPS, GRPC, TCP = 8080, 9443, 9000, 5432
SERVICE = "shop.v1.Cart"

_healthy = {"http": True, "https": True}


class _Pages(BaseHTTPRequestHandler):
    """`/moved` leads elsewhere; every other page says what was asked for."""

    def do_GET(self) -> None:
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        status = 302 if self.path == "/moved" else 200 if _healthy[scheme] else 500
        text = f"{self.command} {self.path} {self.headers.get('X-Probe', '-')}\n".encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/login")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the library
        """Nothing."""


def main(certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    plain = ThreadingHTTPServer(("0.0.0.0", HTTP), _Pages)
    secure = ThreadingHTTPServer(("0.0.0.0", HTTPS), _Pages)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    for server in (plain, secure):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servicer = health.HealthServicer()
    calls = grpc.server(ThreadPoolExecutor(4))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, calls)
    calls.add_insecure_port(f"0.0.0.0:{GRPC}")
    calls.start()
    open_port: socket.socket | None = None
    for line in sys.stdin:
        name, word = line.split()
        if name in _healthy:
            _healthy[name] = word == "on"
        elif name == "tcp":
            if open_port is not None:
                open_port.close()
            open_port = socket.create_server(("0.0.0.0", TCP)) if word == "on" else None
        else:
            answer = health_pb2.HealthCheckResponse
            status = answer.SERVING if word == "on" else answer.NOT_SERVING
            servicer.set(SERVICE if name == "shop" else "", status)
        print(line.strip(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
