"""`towpath problems`: what is wrong with a folder of manifests, or with what a server holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from towpath.cli.folder import MESH, ONE_ANSWERS, offline, repository
from towpath.cli.options import ClientKindType, refuse_beside
from towpath.cli.sarif import sarif
from towpath.cli.server import TIMEOUT_S, NoAnswer, Server, inspector, server_option
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.model.codes import Code, Severity
from towpath.model.names import ClientKind, ObjectRef
from towpath.model.problem import problem_line
from towpath_api.v1 import inspector_pb2 as pb

NONE = "none"
_FIELDS = ("code", "severity", "reason", "kind", "namespace", "name", "field", "message", "source")


@click.command(cls=SettingsCommand)
@setting_options(*MESH)
@server_option(default=None)
@click.option(
    "--client",
    type=ClientKindType(),
    help="Also list what sidecars of this kind cannot enforce (pipy-cannot).",
)
@click.option(
    "--as-served",
    is_flag=True,
    help="Assume nothing: list what a server of this very folder would, without a cluster's part.",
)
@click.option(
    "--fail-on",
    type=click.Choice((*(severity.value for severity in Severity), NONE)),
    default=Severity.WARNING.value,
    show_default=True,
    help="From which severity on the exit code is 1.",
)
@click.option(
    "--ignore",
    metavar="CODE",
    type=click.Choice([code.value for code in Code]),
    multiple=True,
    help="Do not list Problems of this code (may be repeated); docs/problems.md has them all.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(("text", "json", "sarif")),
    default="text",
    show_default=True,
    help="Lines, one JSON document, or SARIF 2.1.0 for a code host.",
)
def problems(
    *,
    manifests: Path | None,
    server: Server | None,
    client: ClientKind | None,
    as_served: bool,
    fail_on: str,
    ignore: tuple[str, ...],
    output: str,
    **mesh: str,
) -> None:
    """List the problems of a folder of manifests, or of the objects that a running server has read.

    A folder is taken for a repository: what only a cluster makes (addresses of Services, pods,
    EndpointSlices, a MeshConfig, namespaces) is assumed where it is missing, with a note. A running
    server (--server) also reports what sidecars rejected, with their error messages.
    Exit code 0: nothing as grave as --fail-on; 1: problems; 2: the folder or the server could not
    be read.
    """
    if server is not None:
        reason = "a server knows which kinds of clients are connected"
        refuse_beside("--server", "client", reason=reason)
        refuse_beside("--server", "as_served", reason="a server assumes nothing")
        refuse_beside("--server", *MESH, reason=ONE_ANSWERS)
        answer, folder = _of(server), None
    else:
        read = offline if as_served else repository
        side = read(manifests, or_else=", or --server", **mesh)
        answer, folder = side.list_problems(client), manifests
    listed = sorted(
        (one for one in answer.problems if one.code not in ignore),
        key=lambda one: Severity(one.severity).rank,
    )
    click.echo(_OUTPUTS[output](listed, folder), nl=output != "text")
    click.echo(_summary(listed), err=True)
    raise SystemExit(any(_fails(one, fail_on) for one in listed))


def _of(server: Server) -> pb.ListProblemsResponse:
    with inspector(server, failure=NoAnswer) as stub:
        answer = stub.ListProblems(pb.ListProblemsRequest(), timeout=TIMEOUT_S)
    for one in answer.problems:
        if one.severity not in tuple(Severity):  # of a server of another version
            one.severity = Severity.ERROR
    return answer


def _fails(problem: pb.Problem, fail_on: str) -> bool:
    return fail_on != NONE and Severity(problem.severity).rank <= Severity(fail_on).rank


def _text(problems: Sequence[pb.Problem], _folder: Path | None) -> str:
    return "".join(f"{_line(problem)}\n" for problem in problems)


def _line(problem: pb.Problem) -> str:
    ref = ObjectRef(problem.kind, problem.namespace, problem.name)
    line = problem_line(ref, problem.field, problem.reason, problem.message, problem.source)
    return f"{problem.severity}: {line} [{problem.code}]"


def _json(problems: Sequence[pb.Problem], _folder: Path | None) -> str:
    rows = [{name: getattr(problem, name) for name in _FIELDS} for problem in problems]
    return json.dumps({"problems": rows, "counts": dict(_counts(problems))}, indent=2)


def _sarif(problems: Sequence[pb.Problem], folder: Path | None) -> str:
    return json.dumps(sarif(problems, folder), indent=2)


_OUTPUTS: Mapping[str, Callable[[Sequence[pb.Problem], Path | None], str]] = {
    "text": _text,
    "json": _json,
    "sarif": _sarif,
}


def _counts(problems: Sequence[pb.Problem]) -> Mapping[Any, int]:
    """How many there are of each severity, also where there is none."""
    counts = Counter(problem.severity for problem in problems)
    return {severity.value: counts[severity] for severity in Severity}


def _summary(problems: Sequence[pb.Problem]) -> str:
    total = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
    counts = [f"{count} {severity}" for severity, count in _counts(problems).items() if count]
    return f"{total}: {', '.join(counts)}" if counts else total
