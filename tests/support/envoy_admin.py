"""A stand-in for an Envoy's admin port, and the dump of an Envoy that has what it is offered."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from support.dataplane import wait

_WAYS = {
    "lds": ("dynamic_listeners", ("active_state", "listener")),
    "cds": ("dynamic_active_clusters", ("cluster",)),
    "rds": ("dynamic_route_configs", ("route_config",)),
    "eds": ("dynamic_endpoint_configs", ("endpoint_config",)),
}
FREE_WITHIN_S = 60.0


class EnvoyAdmin(http.server.ThreadingHTTPServer):
    """Answers every GET with `text`."""

    text = ""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: EnvoyAdmin

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def envoy_admin(port: int = 0) -> Iterator[EnvoyAdmin]:
    """One on loopback; a port that others have for a moment is waited for."""
    server = wait.until(
        lambda: EnvoyAdmin(("127.0.0.1", port), _Handler),
        lambda _: True,
        what=f"port {port} is free",
        within_s=FREE_WITHIN_S,
    )
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def dump(by_type: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The `config_dump` of an Envoy that has these resources, by short type and name."""
    configs = []
    for short, resources in by_type.items():
        entries, path = _WAYS[short]
        values = []
        for resource in resources.values():
            value: Any = resource
            for key in reversed(path):
                value = {key: value}
            values.append(value)
        configs.append({entries: values})
    return json.dumps({"configs": configs})
