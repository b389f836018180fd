"""Talking to a running server's Inspector: the option, the connection, the errors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
import grpc

from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

F = TypeVar("F", bound=Callable[..., Any])

TIMEOUT_S = 10.0
OPTIONS = (("grpc.max_receive_message_length", -1),)
"""A list of thousands of sidecars is longer than gRPC's own 4 MiB."""


def server_option(*, default: str | None = "127.0.0.1:15128") -> Callable[[F], F]:
    """Add `--server` to a command."""
    return click.option(
        "--server",
        default=default,
        show_default=default is not None,
        envvar="TOWPATH_ADS_ADDRESS" if default else None,
        help="Address of a running server (its --ads-address).",
    )


@contextlib.contextmanager
def inspector(server: str) -> Iterator[pb_grpc.InspectorStub]:
    """The Inspector of that server; what it refuses becomes the command's error."""
    try:
        with grpc.insecure_channel(server, options=OPTIONS) as channel:
            yield pb_grpc.InspectorStub(channel)
    except grpc.RpcError as error:
        if isinstance(error, grpc.Call):
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise click.UsageError(error.details() or "") from error
            raise click.ClickException(f"{server}: {error.details()}") from error
        raise click.ClickException(f"{server}: {error}") from error
