"""`towpath problems`: what is wrong with a folder of manifests, or with what a server holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from towpath.cli.folder import MESH, OR_ELSE, offline, repository
from towpath.cli.messages import line_of
from towpath.cli.options import ClientKindType, refuse_beside
from towpath.cli.place import Place, folder_or_place_options
from towpath.cli.replicas import replicas_of
from towpath.cli.sarif import sarif
from towpath.cli.server import NoAnswer, Server
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.cli.together import problems_together
from towpath.model.codes import Code, Severity
from towpath.model.names import ClientKind
from towpath_api.v1 import inspector_pb2 as pb

NONE = "none"
_FIELDS = ("code", "severity", "reason", "kind", "namespace", "name", "field", "message", "source")


@click.command(cls=SettingsCommand)
@setting_options(*MESH)
@folder_or_place_options
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
    place: Place | None,
    client: ClientKind | None,
    as_served: bool,
    fail_on: str,
    ignore: tuple[str, ...],
    output: str,
    **mesh: str,
) -> None:
    """List the problems of a folder of manifests, or of what a control plane has read.

    A folder is taken for a repository: what only a cluster makes (addresses of Services, pods,
    EndpointSlices, a MeshConfig, namespaces) is assumed where it is missing, with a note. A control
    plane (a server, --server, or each replica in a cluster) also reports what sidecars rejected,
    with their error messages.
    Exit code 0: nothing as grave as --fail-on; 1: problems; 2: the folder, the server or a replica
    could not be read.
    """
    whole = True
    if place is not None:
        chosen = "--server" if isinstance(place, Server) else "a cluster"
        reason = "a server knows which kinds of clients are connected"
        refuse_beside(chosen, "client", reason=reason)
        refuse_beside(chosen, "as_served", reason="a server assumes nothing")
        answer, whole = _of(place)
        folder = None
    else:
        read = offline if as_served else repository
        side = read(manifests, or_else=OR_ELSE, **mesh)
        answer, folder = side.list_problems(client), manifests
    listed = sorted(
        (one for one in answer.problems if one.code not in ignore),
        key=lambda one: Severity(one.severity).rank,
    )
    click.echo(_OUTPUTS[output](listed, folder), nl=output != "text")
    click.echo(_summary(listed), err=True)
    if not whole:
        raise SystemExit(NoAnswer.exit_code)
    raise SystemExit(any(_fails(one, fail_on) for one in listed))


def _of(place: Place) -> tuple[pb.ListProblemsResponse, bool]:
    """What the replicas list, and whether all of them have answered."""
    with replicas_of(place) as replicas:
        answers = replicas.ask(lambda stub: stub.ListProblems, pb.ListProblemsRequest())
    answers.warn()
    problems = problems_together(answer.problems for answer in answers.messages.values())
    for one in problems:
        if one.severity not in tuple(Severity):  # of a server of another version
            one.severity = Severity.ERROR
    return pb.ListProblemsResponse(problems=problems), not answers.faults


def _fails(problem: pb.Problem, fail_on: str) -> bool:
    return fail_on != NONE and Severity(problem.severity).rank <= Severity(fail_on).rank


def _text(problems: Sequence[pb.Problem], _folder: Path | None) -> str:
    return "".join(f"{line_of(problem)}\n" for problem in problems)


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
