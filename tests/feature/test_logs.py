"""What a server writes: with `--log-format json` nothing but objects, on either stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status

from support.certificates import Certificates
from support.xds.process import ServerProcess
from support.xds.stream import RawStream
from towpath.model.types import CLUSTER
from towpath.xds.service import SERVICE

WITHIN_S = 30.0
Event = dict[str, Any]
POLICY = """\
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata: {name: out, namespace: curl}
spec:
  sources: [{kind: ServiceAccount, name: curl, namespace: curl}]
  hosts: [httpbin.org, "no host"]
  ports: [{number: 80, protocol: http}]
"""


@contextlib.contextmanager
def _serving(folder: Path, *options: str, tcp: bool = False) -> Iterator[ServerProcess]:
    process = ServerProcess(folder, "--log-format", "json", *options, services=0)
    if tcp:
        process.listen_on_tcp()
    process.start()
    try:
        yield process
    finally:
        process.stop()


def _events(process: ServerProcess) -> list[Event]:
    """Each line that was written, as the object that it must be."""
    return [json.loads(line) for line in process.lines()]


async def _event(process: ServerProcess, wanted: Callable[[Event], bool]) -> Event:
    """The first such event, waited for."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            # A last line may be half written.
            whole = [line for line in process.lines() if line.endswith("}")]
            for event in map(json.loads, whole):
                if wanted(event):
                    return dict(event)
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def _stream(process: ServerProcess) -> Any:
    async with grpc.aio.insecure_channel(process.address) as channel:
        yield RawStream(channel, f"/{SERVICE}/StreamAggregatedResources")


async def test_the_line_at_start_says_version_mesh_source_addresses_and_tls(
    tmp_path: Path,
) -> None:
    with _serving(tmp_path) as process:
        event = await _event(process, lambda event: "mesh" in event)

    assert "info" == event["level"]
    assert ("osm", str(process.folder), False) == (event["mesh"], event["source"], event["tls"])
    assert process.address == event["ads_address"]
    assert f"127.0.0.1:{process.http_port}" == event["http_address"]
    assert event["version"] in event["message"]


async def test_a_rejection_and_a_broken_client_are_objects_with_fields(tmp_path: Path) -> None:
    with _serving(tmp_path) as process:
        async with _stream(process) as stream:
            await stream.say(CLUSTER)
            response = await stream.hear()
            await stream.say(
                CLUSTER,
                response_nonce=response.nonce,
                error_detail=Status(code=3, message="no\x1b[2J\u202e"),
            )
            nack = await _event(process, lambda event: "rejected" in event["message"])
        async with _stream(process) as stream:
            await stream.say_bytes(b"\xff\xff\xff")
            await stream.end()
        async with _stream(process) as stream:
            await stream.say(CLUSTER, node="no\nnode")
            await stream.end()
        ended = await _event(process, lambda event: event.get("node") == "no\nnode")
    events = _events(process)

    assert ("curl.curl", "cds", response.version_info) == (
        nack["node"],
        nack["type"],
        nack["version"],
    )
    assert nack["peer"].startswith("unix:")
    assert "curl/curl" == nack["account"]
    assert ("warning", "INVALID_ARGUMENT") == (ended["level"], ended["status"])
    assert all({"time", "level", "logger", "message"} <= event.keys() for event in events)
    # Nothing that a client says reaches a terminal as it is.
    assert all(line.isascii() and line.isprintable() for line in process.lines())


async def test_what_grpc_itself_says_of_a_failed_handshake_is_an_object_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWPATH_TRANSPORT", "grpc")
    server = Certificates(tmp_path).issue("server", dns=("localhost",), addresses=("127.0.0.1",))
    files = {"cert": server.certificate, "key": server.key, "client-ca": server.ca}
    options = [text for name, path in files.items() for text in (f"--tls-{name}", str(path))]
    with _serving(tmp_path, *options, tcp=True) as process:
        address = ("127.0.0.1", process.tcp_port)
        with socket.create_connection(address) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            core = await _event(process, lambda event: event["logger"] == "grpc.core")
        nobody = ssl.create_default_context(cafile=server.ca)
        nobody.set_alpn_protocols(["h2"])
        with (
            contextlib.suppress(OSError),
            socket.create_connection(address) as raw,
            nobody.wrap_socket(raw, server_hostname="localhost") as without_certificate,
        ):
            await asyncio.to_thread(without_certificate.recv, 1)
        await _event(process, lambda event: "CERTIFICATE" in event["message"])

    assert "Handshake failed" in core["message"]
    assert core["place"].startswith("ssl_transport_security.cc:")
    assert [] == [event for event in _events(process) if event["logger"] == "stderr"]


@pytest.mark.fast
async def test_the_transport_in_rust_says_with_whom_a_handshake_failed_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWPATH_TRANSPORT", "fast")
    server = Certificates(tmp_path).issue("server", dns=("localhost",), addresses=("127.0.0.1",))
    files = {"cert": server.certificate, "key": server.key, "client-ca": server.ca}
    options = [text for name, path in files.items() for text in (f"--tls-{name}", str(path))]
    with (
        _serving(tmp_path, *options, tcp=True) as process,
        socket.create_connection(("127.0.0.1", process.tcp_port)) as plain,
    ):
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        port = plain.getsockname()[1]
        event = await _event(process, lambda one: "handshake failed" in one["message"])

    assert f"TLS handshake failed with ipv4:127.0.0.1:{port}" in event["message"]
    assert "corrupt message" in event["message"]


async def test_the_level_changes_while_it_runs_and_back(tmp_path: Path) -> None:
    with _serving(tmp_path, "--log-level", "warning") as process:
        process.send(signal.SIGUSR1)
        await _event(process, lambda event: "is debug from now on" in event["message"])
        async with _stream(process) as stream:
            await stream.say(CLUSTER)
            response = await stream.hear()
            push = await _event(process, lambda event: "was sent" in event["message"])
            await stream.say(CLUSTER, response_nonce=response.nonce)
            answer = await _event(process, lambda event: "accepted" in event["message"])
        process.send(signal.SIGUSR1)
        await _event(process, lambda event: "is warning from now on" in event["message"])
        before = len(process.lines())
        async with _stream(process) as stream:
            await stream.say(CLUSTER)
            await stream.hear()

    fields = ("curl.curl", "cds", response.version_info, "debug")
    assert fields == tuple(push[key] for key in ("node", "type", "version", "level"))
    assert fields == tuple(answer[key] for key in ("node", "type", "version", "level"))
    assert [] == process.lines()[before:]


async def test_a_switch_a_policy_and_a_broken_file_have_lines(tmp_path: Path) -> None:
    with _serving(tmp_path) as process:
        await _event(process, lambda event: "begins" in event["message"])
        process.switch()
        switch = await _event(process, lambda event: "before" in event)
        policy = process.folder / "policy.yaml"
        policy.write_text(POLICY)
        added = await _event(process, lambda event: event.get("change") == "added")
        broken = await _event(process, lambda event: event.get("field") == "spec.hosts[1]")
        policy.write_text("{")
        file = await _event(process, lambda event: "file" in event)

    assert ("osm-system/osm-mesh-config", "spec.traffic.enableEgress") == (
        switch["policy"],
        switch["field"],
    )
    assert {switch["before"], switch["after"]} == {True, False}
    assert ("Egress", "curl/out") == (added["kind"], added["policy"])
    assert ("curl/out", "info", "broken") == (
        broken["policy"],
        broken["level"],
        broken["change"],
    )
    assert ("policy.yaml", "warning") == (file["file"], file["level"])


@pytest.mark.parametrize(
    ("options", "exit_code", "reason"),
    [
        (("--manifests", "/nowhere"), 1, "/nowhere does not exist"),
        (("--manifests", "/", "--max-names", "0"), 2, "allowed is 1 to 1,000,000"),
        (("--manifests", "/", "--tls-cert", "crt"), 2, "--tls-key and --tls-client-ca together"),
    ],
)
def test_why_it_does_not_start_is_an_object_too(
    options: tuple[str, ...], exit_code: int, reason: str
) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "towpath", "serve", "--log-format", "json", *options),
        check=False,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )

    (line,) = done.stderr.splitlines()
    assert (exit_code, "") == (done.returncode, done.stdout)
    assert "error" == json.loads(line)["level"]
    assert reason in json.loads(line)["message"]


def test_text_is_text_on_both_streams(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path, services=0)
    process.start()
    process.stop()

    assert any(line.startswith("ADS, Inspector") for line in process.lines())
    assert any("serves the mesh osm" in line for line in process.lines())


FLOOD = """\
import os
from towpath.telemetry.descriptor import captured
from towpath.telemetry.logs import configure
with captured() as stream:
    configure(level="info", form="json", stream=stream)
    os.write(2, b"E0000 00:00:1732816296.1 42 a/b.cc:7] no \\x1b\\xff\\n\\n")
    os.write(2, b"x" * 20000 + b"\\n")
    os.write(2, b"last words")
"""


def test_no_line_of_a_library_is_lost_at_the_end_and_none_is_too_long() -> None:
    done = subprocess.run(
        (sys.executable, "-c", FLOOD),
        check=True,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )

    core, *others = map(json.loads, done.stderr.splitlines())
    assert ("error", "grpc.core", "a/b.cc:7") == (core["level"], core["logger"], core["place"])
    assert "no \x1b\\xff" == core["message"]
    assert [8192, 8192, 3616, 10] == [len(event["message"]) for event in others]


BLOCKED = """\
import os
from towpath.telemetry import descriptor
with descriptor.captured() as stream:
    ours = os.dup(2)
    for _ in range(1000):
        try:
            os.write(2, b"y" * 8191 + b"\\n")
        except BlockingIOError:
            break
    print("went on", flush=True)
    os._exit(0)
"""


def test_a_reader_that_stands_still_holds_nobody_who_writes() -> None:
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            (sys.executable, "-c", BLOCKED),
            check=True,
            stdout=subprocess.PIPE,
            stderr=writing,
            timeout=WITHIN_S,
        )
    finally:
        os.close(reading)
        os.close(writing)

    assert b"went on\n" == done.stdout
