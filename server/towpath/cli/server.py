"""Talking to a running server: the options, the connection, the errors."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click
import grpc

from towpath.cli.options import refuse_beside
from towpath.model.text import printable_lines
from towpath.settings import AccessSettings
from towpath_client import TlsFiles

F = TypeVar("F", bound=Callable[..., Any])

TIMEOUT_S = 10.0
OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
"""A list of thousands of sidecars is longer than gRPC's own 4 MiB; a server that is back is asked
again within seconds, where gRPC itself may take two minutes.
"""

_TLS = ("tls_ca", "tls_cert", "tls_key", "tls_server_name")
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server's address, and what to show and to trust there (None: plaintext).

    A unix socket speaks no TLS: its file mode says who may connect.
    """

    address: str
    tls: TlsFiles | None


def server_option(
    *, default: str | None = AccessSettings().ads_address, beside: bool = True
) -> Callable[[F], F]:
    """Add `--server` and `--tls-…` to a command, which is given a Server, or None without one.

    With *beside*, the settings of a server in the same environment (`kubectl exec`) say where it
    is, its local socket first; else it is at *default*.
    """

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def with_server(
            *args: Any,
            server: str | None,
            tls_ca: Path | None,
            tls_cert: Path | None,
            tls_key: Path | None,
            tls_server_name: str,
            **options: Any,
        ) -> Any:
            if server is None:
                server = (_beside() if beside else None) or default
            if server is None:
                refuse_beside("no --server", *_TLS, reason="it needs --server")
            elif server.startswith("unix:"):
                refuse_beside(server, *_TLS, reason="a socket's file mode says who may connect")
            tls = None if server is None else _tls(tls_ca, tls_cert, tls_key, tls_server_name)
            where = None if server is None else Server(server, tls)
            return command(*args, server=where, **options)

        options = (
            click.option(
                "--server",
                show_default=default is not None and default,
                help="Address of a running server: its --ads-address, or unix:/PATH of its "
                "--local-socket."
                + (" $TOWPATH_LOCAL_SOCKET, then $TOWPATH_ADS_ADDRESS, if set." if beside else ""),
            ),
            _file_option(
                "ca", "Certificates of the authority that issued the server's certificate (PEM)."
            ),
            _file_option("cert", "Certificate chain to present to the server (PEM)."),
            _file_option("key", "Private key of that certificate (PEM)."),
            click.option(
                "--tls-server-name",
                default="",
                envvar="TOWPATH_CLIENT_TLS_SERVER_NAME",
                show_envvar=True,
                help="Name in the server's certificate, if it differs from the address.",
            ),
        )
        decorated: Any = with_server
        for option in reversed(options):
            decorated = option(decorated)
        return cast("F", decorated)

    return decorate


class NoAnswer(click.ClickException):
    """The error of a command whose exit code 1 is an answer; it may quote others."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(printable_lines(message))


def in_words(server: Server, error: grpc.RpcError) -> str:
    """What a server's refusal says; UsageError if it is of what was typed."""
    if not isinstance(error, grpc.Call):
        return str(error)
    if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
        raise click.UsageError(error.details() or "") from error
    return f"{error.details()}{_hint(server, error)}"


def _hint(server: Server, error: grpc.Call) -> str:
    """A server that speaks TLS only cuts a plaintext connection, and cannot say why."""
    unavailable = error.code() is grpc.StatusCode.UNAVAILABLE
    if not unavailable or server.tls is not None or server.address.startswith("unix:"):
        return ""
    return " (a server with TLS needs --tls-ca, --tls-cert and --tls-key)"


def channel_to(server: Server) -> grpc.Channel:
    """A connection to that server; ClickException if its TLS files cannot be read."""
    if server.tls is None or server.address.startswith("unix:"):
        return grpc.insecure_channel(server.address, options=OPTIONS)
    options = (*OPTIONS, *server.tls.channel_options())
    try:
        return grpc.secure_channel(server.address, server.tls.credentials(), options=options)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error


def _tls(
    ca: Path | None, certificate: Path | None, key: Path | None, server_name: str
) -> TlsFiles | None:
    if ca is not None and certificate is not None and key is not None:
        return TlsFiles(ca=ca, certificate=certificate, key=key, server_name=server_name)
    if ca or certificate or key or server_name:
        raise click.UsageError("give --tls-ca, --tls-cert and --tls-key together, or none of them")
    return None


def _beside() -> str | None:
    """Where the settings in this environment have the server listen."""
    socket = os.environ.get("TOWPATH_LOCAL_SOCKET")
    return f"unix:{socket}" if socket else os.environ.get("TOWPATH_ADS_ADDRESS")


def _file_option(name: str, text: str) -> Callable[[F], F]:
    # Not TOWPATH_TLS_…: that is what the server itself shows, which is no client's certificate.
    return click.option(
        f"--tls-{name}",
        type=_FILE,
        envvar=f"TOWPATH_CLIENT_TLS_{name.upper()}",
        show_envvar=True,
        help=text,
    )
