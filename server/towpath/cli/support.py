"""`towpath support`: what a server's maintainers need to know when something is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click
from google.protobuf.message import Message

from towpath.cli.bundle import Bundle, gather, json_of, profile_text, tasks_text
from towpath.cli.files import write_file
from towpath.cli.place import Place, place_options
from towpath.cli.replicas import replicas_of
from towpath.clock import utc_now
from towpath.model.text import printable
from towpath_api.v1 import debug_pb2, debug_pb2_grpc

if TYPE_CHECKING:
    import grpc

M = TypeVar("M", bound=Message)
Q = TypeVar("Q", bound=Message)

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
    """Look for a fault in a running server: a bundle for a report, tasks, memory, CPU, logs.

    Every replica is asked.
    """


@support.command()
@place_options
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
    help="Also look for so long where each replica spends time of the CPU.",
)
@click.option(
    "--snapshots",
    type=click.IntRange(0, 100),
    default=5,
    show_default=True,
    help="Of how many sidecars to add what they should have; those that reject come first.",
)
def bundle(place: Place, *, output: Path | None, profile_s: int, snapshots: int) -> None:
    """Write what each replica says of itself to one file, for a report of a fault.

    It has no private key, token or password; read about.txt in it before you send it to anybody.
    Exit code 0: written; 2: no server answers, or not every replica did.
    """
    at = utc_now()
    files = Bundle()
    with replicas_of(place) as replicas:
        # Whoever answers this answers the rest.
        answers = replicas.ask_by_channel(
            lambda channel: debug_pb2_grpc.DebugStub(channel).GetProcess,
            debug_pb2.GetProcessRequest(),
        )
        for name, channel in replicas.channels(answers.messages).items():
            gather(channel, files.folder(name), profile_s=profile_s, snapshots=snapshots)
    target = output or Path(f"towpath-support-{at:%Y%m%dT%H%M%SZ}.tar.gz")
    write_file(target, files.archive(at), mode=0o600)
    for missing in files.missing:
        click.echo(f"not in the bundle: {missing}", err=True)
    answers.warn()
    click.echo(target)
    raise SystemExit(answers.exit_code)


@support.command()
@place_options
def tasks(place: Place) -> None:
    """List the tasks of the server, and where they wait; those at the same place are one."""
    _print(place, lambda stub: stub.ListTasks, debug_pb2.ListTasksRequest(), tasks_text)


@support.command()
@place_options
def memory(place: Place) -> None:
    """Say how much memory the server has, and of which types it holds most objects."""
    request = debug_pb2.GetMemoryRequest()
    _print(place, lambda stub: stub.GetMemory, request, lambda answer: f"{json_of(answer)}\n")


@support.command()
@place_options
@seconds_option
def profile(place: Place, *, seconds: int) -> None:
    """Look where the server spends time of the CPU: one stack a line, with its microseconds, as
    tools for flame graphs read them.
    """
    request = debug_pb2.ProfileCpuRequest(seconds=seconds)
    _print(place, lambda stub: stub.ProfileCpu, request, profile_text, longer_s=seconds)


@support.command("log-level")
@place_options
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
def log_level(place: Place, *, level: str, minutes: int) -> None:
    """Change how much servers log while they run; `usual` is the level of their settings."""
    request = debug_pb2.SetLogLevelRequest(
        level="" if level == "usual" else level, seconds=0 if level == "usual" else minutes * 60
    )
    until = f" for {minutes} minutes" if request.seconds else ""
    with replicas_of(place) as replicas:
        answers = replicas.ask_by_channel(
            lambda channel: debug_pb2_grpc.DebugStub(channel).SetLogLevel, request
        )
    for name, answer in answers.messages.items():
        text = f"{name}: the log level is {answer.level}{until}, it was {answer.before}"
        click.echo(printable(text))
    answers.warn()
    raise SystemExit(answers.exit_code)


def _print(
    place: Place,
    method: Callable[[debug_pb2_grpc.DebugStub], grpc.UnaryUnaryMultiCallable[Q, M]],
    request: Q,
    text: Callable[[M], str],
    *,
    longer_s: float = 0.0,
) -> NoReturn:
    """What each replica answers, below its name if there are several; ends the command."""
    with replicas_of(place) as replicas:
        answers = replicas.ask_by_channel(
            lambda channel: method(debug_pb2_grpc.DebugStub(channel)), request, longer_s=longer_s
        )
    for name, answer in answers.messages.items():
        if len(answers.messages) > 1:
            click.echo(f"# {printable(name)}")
        click.echo(text(answer), nl=False)
    answers.warn()
    raise SystemExit(answers.exit_code)
