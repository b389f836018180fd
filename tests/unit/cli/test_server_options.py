"""How a command is told which server to ask."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from towpath.cli.server import Server, server_option
from towpath_client import TlsFiles


def _run(*arguments: str, **environment: str) -> Result:
    @click.command()
    @server_option()
    def command(server: Server) -> None:
        click.echo(server)

    return CliRunner().invoke(command, arguments, env=environment)


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    for name in ("ca", "crt", "key"):
        (tmp_path / name).touch()
    return TlsFiles(ca=tmp_path / "ca", certificate=tmp_path / "crt", key=tmp_path / "key")


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "127.0.0.1:15128"),
        ({"TOWPATH_ADS_ADDRESS": "127.0.0.1:7"}, "127.0.0.1:7"),
        ({"TOWPATH_ADS_ADDRESS": "0.0.0.0:7", "TOWPATH_LOCAL_SOCKET": "/run/t"}, "unix:/run/t"),
    ],
)
def test_beside_the_server_its_own_settings_say_where_it_is(
    environment: dict[str, str], address: str
) -> None:
    assert str(Server(address, None)) == _run(**environment).output.strip()


def test_tls_files_come_from_options_or_the_environment(files: TlsFiles) -> None:
    options = ("--tls-ca", str(files.ca), "--tls-cert", str(files.certificate))
    result = _run(*options, "--server", "h:1", TOWPATH_CLIENT_TLS_KEY=str(files.key))

    assert str(Server("h:1", files)) == result.output.strip()


def test_one_tls_file_needs_the_others(files: TlsFiles) -> None:
    result = _run("--tls-ca", str(files.ca))

    assert 2 == result.exit_code
    assert "--tls-ca, --tls-cert and --tls-key together" in result.output


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    result = _run("--tls-ca", str(tmp_path / "none"))

    assert 2 == result.exit_code
    assert str(tmp_path / "none") in result.output.replace("\n", "")
