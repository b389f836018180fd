"""The commands that ask a server, over TLS and over the local socket; and a start that fails."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from support.certificates import Certificates
from support.control_plane import DEMO, ControlPlane, control_plane
from towpath.cli import main
from towpath_client import TlsFiles

JO = "spiffe://cluster.local/person/jo"


def _run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
async def plane(tmp_path: Path, certificates: Certificates) -> AsyncIterator[ControlPlane]:
    served = control_plane(tmp_path, tls=certificates.server(), people=frozenset({JO}))
    async with served as running:
        yield running


def _options(files: TlsFiles) -> tuple[str, ...]:
    shown = ("--tls-cert", str(files.certificate), "--tls-key", str(files.key))
    return ("--tls-ca", str(files.ca), *shown)


@pytest.mark.parametrize(
    "command",
    [
        ("sidecars",),
        ("status",),
        ("problems",),
        ("explain", "--from", "curl/curl", "--to", "https://httpbin.org"),
    ],
)
async def test_a_command_asks_over_tls_and_over_the_local_socket(
    plane: ControlPlane, certificates: Certificates, command: tuple[str, ...]
) -> None:
    jo = _options(certificates.issue("jo", uris=(JO,)))
    over_tls = await asyncio.to_thread(_run, *command, "--server", plane.address, *jo)
    by_socket = await asyncio.to_thread(_run, *command, "--server", f"unix:{plane.local_socket}")

    assert over_tls.output == by_socket.output
    assert ("Error" in over_tls.output, over_tls.exit_code) == (False, by_socket.exit_code)


async def test_beside_the_server_a_command_finds_the_local_socket(plane: ControlPlane) -> None:
    found = {"TOWPATH_LOCAL_SOCKET": str(plane.local_socket)}
    result = await asyncio.to_thread(_run, "sidecars", **found)

    assert (0, True) == (result.exit_code, result.output.startswith("NODE"))


async def test_a_command_that_is_refused_says_who_may_ask(
    plane: ControlPlane, certificates: Certificates
) -> None:
    curl = _options(certificates.sidecar("curl", "curl"))
    result = await asyncio.to_thread(_run, "sidecars", "--server", plane.address, *curl)

    assert 2 == result.exit_code
    assert "towpath.v1.Inspector is for the identities of --inspector-identities" in result.output


async def test_a_command_in_plaintext_is_told_what_may_be_wrong(plane: ControlPlane) -> None:
    result = await asyncio.to_thread(_run, "sidecars", "--server", plane.address)

    assert 2 == result.exit_code
    assert "a server with TLS needs --tls-ca, --tls-cert and --tls-key" in result.output


def _serve(*options: str) -> Result:
    http = ("--http-address", "127.0.0.1:0", "--ads-address", "127.0.0.1:0")
    return _run("serve", "--manifests", str(DEMO), *http, *options)


def test_a_missing_certificate_ends_the_start_with_its_name(
    certificates: Certificates, tmp_path: Path
) -> None:
    files = certificates.server()
    files.certificate.unlink()
    said = ("--tls-cert", str(files.certificate), "--tls-key", str(files.key))
    result = _serve(*said, "--tls-client-ca", str(files.ca))

    assert f"Error: --tls-cert {tmp_path}/server.crt cannot be read" in result.output
    assert 1 == result.exit_code


def test_a_local_socket_in_use_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "local.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        result = _serve("--local-socket", str(path))

        assert (1, True) == (result.exit_code, path.exists())
    said = f"Error: --local-socket {path} cannot be bound: another process listens there\n"
    assert said in result.output
    assert "Traceback" not in result.output


def test_an_http_address_in_use_is_named_with_its_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = _serve("--http-address", address)

    assert f"Error: --http-address {address} cannot be bound: " in result.output
    assert (1, False) == (result.exit_code, "Traceback" in result.output)
