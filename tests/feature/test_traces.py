"""Traces of changes: what a collector is sent of each, from its event to a sidecar's answer."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.xds.process import NODE, ServerProcess
from support.xds.sidecar import sidecar
from towpath.settings import ProcessSettings, SettingsError

WITHIN_S = 60.0
Span = dict[str, Any]


class Collector:
    """Takes OTLP over HTTP in JSON, and keeps the spans."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self._spans: list[Span] = []
        self._arrived = threading.Condition()

    def take(self, document: Any) -> None:
        with self._arrived:
            for resource in document["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    self._spans += scope["spans"]
            self._arrived.notify_all()

    def trace(self, *names: str) -> list[Span]:
        """The spans of the first change that has spans of all these names."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self._first(names), WITHIN_S), self._spans
            return self._first(names)

    def _first(self, names: tuple[str, ...]) -> list[Span]:
        by_trace: dict[str, list[Span]] = {}
        for span in self._spans:
            by_trace.setdefault(span["traceId"], []).append(span)
        whole = (s for s in by_trace.values() if set(names) <= {span["name"] for span in s})
        return next(whole, [])


@pytest.fixture
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert "/v1/traces" == self.path
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            taken.take(json.loads(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        taken = Collector(server)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield taken
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def _running(folder: Path, *options: str) -> Iterator[ServerProcess]:
    server = ServerProcess(folder, *options, services=0)
    server.start()
    try:
        yield server
    finally:
        server.stop()


async def test_a_change_is_one_trace_from_its_event_to_the_answer(
    tmp_path: Path, collector: Collector
) -> None:
    with _running(tmp_path, "--otlp-endpoint", collector.url) as server:
        async with sidecar(server.address) as envoy:
            await envoy.correct(await server.versions())
            server.switch()
            names = ("change", "wait", "compute", "push", "answer")
            spans = await asyncio.to_thread(collector.trace, *names)
    (root,) = (span for span in spans if span["name"] == "change")
    pushes = [span for span in spans if span["name"] in ("push", "answer")]

    assert {root["spanId"]} == {s["parentSpanId"] for s in spans if s is not root}
    assert not root.get("parentSpanId")
    assert {NODE} == {_attribute(span, "towpath.node") for span in pushes}
    assert "lds" in {_attribute(span, "towpath.type") for span in pushes}
    for span in spans:
        assert int(root["startTimeUnixNano"]) <= int(span["startTimeUnixNano"])
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])


def _attribute(span: Span, key: str) -> str | None:
    values = {one["key"]: one["value"] for one in span["attributes"]}
    value: str | None = values.get(key, {}).get("stringValue")
    return value


def test_a_collector_that_is_not_there_keeps_nobody_waiting(tmp_path: Path) -> None:
    with _running(tmp_path, "--otlp-endpoint", "http://127.0.0.1:9") as server:
        server.switch()
        assert server.alive()

    assert 0 == server.wait(0)


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    sdk = "[m for m in sys.modules if m.startswith('opentelemetry.sdk')]"
    look = f"import sys, towpath.app.serve; print({sdk})"
    done = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)

    assert "[]" == done.stdout.strip()


@pytest.mark.parametrize(
    "url", ["localhost:4318", "ftp://x", "http://", "http://x:99999", "http://x/v1/traces"]
)
def test_an_endpoint_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        ProcessSettings(otlp_endpoint=url)

    text = f"--otlp-endpoint is {url!r}: allowed is http://HOST:PORT or https://HOST:PORT"
    assert text == str(raised.value)


def test_one_that_is_one_is_taken() -> None:
    for url in ("", "http://localhost:4318", "https://collector.monitoring/"):
        assert url == ProcessSettings(otlp_endpoint=url).otlp_endpoint
