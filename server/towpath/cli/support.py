"""`towpath support`: what a server's maintainers need to know when something is wrong with it."""

from __future__ import annotations

from pathlib import Path

import click

from towpath.cli.bundle import (
    Bundle,
    gather,
    get_memory,
    json_of,
    list_tasks,
    profile_cpu,
    profile_text,
    say_missing,
    tasks_text,
)
from towpath.cli.files import write_file
from towpath.cli.server import TIMEOUT_S, Server, server_channel, server_option
from towpath.clock import utc_now
from towpath_api.v1 import debug_pb2, debug_pb2_grpc

LEVELS = ("debug", "info", "warning", "error")
seconds_option = click.option(
    "--seconds",
    type=click.IntRange(1, 60),
    default=10,
    show_default=True,
    help="For how long to look.",
)


@click.group()
def support() -> None:
    """Look for a fault in a running server: a bundle for a report, tasks, memory, CPU, logs."""


@support.command()
@server_option()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; by default towpath-support-TIME.tar.gz here.",
)
@click.option(
    "--profile",
    "profile_s",
    type=click.IntRange(0, 60),
    default=0,
    metavar="SECONDS",
    help="Also look for so long where the server spends time of the CPU.",
)
@click.option(
    "--snapshots",
    type=click.IntRange(0, 100),
    default=5,
    show_default=True,
    help="Of how many sidecars to add what they should have; those that reject come first.",
)
def bundle(server: Server, *, output: Path | None, profile_s: int, snapshots: int) -> None:
    """Write what a server says of itself to one file, for a report of a fault.

    It has no private key, token or password; read about.txt in it before you send it to anybody.
    Exit code 0: written; 1: the server does not answer.
    """
    at = utc_now()
    files = Bundle()
    with server_channel(server) as channel:
        gather(channel, files, profile_s=profile_s, snapshots=snapshots)
    target = output or Path(f"towpath-support-{at:%Y%m%dT%H%M%SZ}.tar.gz")
    write_file(target, files.archive(at), mode=0o600)
    say_missing(files)
    click.echo(target)


@support.command()
@server_option()
def tasks(server: Server) -> None:
    """List the tasks of the server, and where they wait; those at the same place are one."""
    with server_channel(server) as channel:
        answer = list_tasks(debug_pb2_grpc.DebugStub(channel))
    click.echo(tasks_text(answer), nl=False)


@support.command()
@server_option()
def memory(server: Server) -> None:
    """Say how much memory the server has, and of which types it holds most objects."""
    with server_channel(server) as channel:
        click.echo(json_of(get_memory(debug_pb2_grpc.DebugStub(channel))))


@support.command()
@server_option()
@seconds_option
def profile(server: Server, *, seconds: int) -> None:
    """Look where the server spends time of the CPU: one stack a line, with its microseconds, as
    tools for flame graphs read them.
    """
    with server_channel(server) as channel:
        answer = profile_cpu(debug_pb2_grpc.DebugStub(channel), seconds)
    click.echo(profile_text(answer), nl=False)


@support.command("log-level")
@server_option()
@click.argument("level", type=click.Choice((*LEVELS, "usual")))
@click.option(
    "--for",
    "minutes",
    type=click.IntRange(0, 1440),
    default=10,
    show_default=True,
    metavar="MINUTES",
    help="After this long the level of the settings holds again; 0: until the server ends.",
)
def log_level(server: Server, *, level: str, minutes: int) -> None:
    """Change how much a server logs while it runs; `usual` is the level of its settings."""
    request = debug_pb2.SetLogLevelRequest(
        level="" if level == "usual" else level, seconds=0 if level == "usual" else minutes * 60
    )
    with server_channel(server) as channel:
        stub = debug_pb2_grpc.DebugStub(channel)
        answer = stub.SetLogLevel(request, timeout=TIMEOUT_S)
    until = f" for {minutes} minutes" if request.seconds else ""
    click.echo(f"the log level is {answer.level}{until}, it was {answer.before}")
