"""`towpath problems`: what is wrong with a folder of manifests, or with what a server holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from towpath.cli.folder import MESH, OR_ELSE, as_served_option, read_folder
from towpath.cli.listing import OUTPUTS, Cell, Column, Listing, show, summary_of
from towpath.cli.messages import line_of
from towpath.cli.options import ClientKindType, refuse_beside
from towpath.cli.place import Place, folder_or_place_options
from towpath.cli.progress import stage
from towpath.cli.replicas import replicas_of
from towpath.cli.sarif import sarif
from towpath.cli.server import NoAnswer, Server
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.cli.together import problems_together
from towpath.model.codes import Code, Severity
from towpath.model.names import ClientKind, ObjectRef
from towpath_api.v1 import inspector_pb2 as pb

NONE = "none"
COLUMNS = (
    *(Column("SEVERITY"), Column("OBJECT"), Column("FIELD"), Column("CODE")),
    *(Column("REASON", wide=True), Column("SOURCE", wide=True), Column("MESSAGE")),
)
_MEANINGS = {Severity.ERROR: "bad", Severity.WARNING: "pending", Severity.INFO: ""}
_FIELDS = ("code", "severity", "reason", "kind", "namespace", "name", "field", "message", "source")


@click.command(cls=SettingsCommand)
@setting_options(*MESH)
@folder_or_place_options
@click.option(
    "--client",
    type=ClientKindType(),
    help="Also list what sidecars of this kind cannot enforce (pipy-cannot).",
)
@as_served_option
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
    type=click.Choice(("text", *OUTPUTS, "sarif")),
    default="text",
    show_default=True,
    help="One line each; a table, with more columns (wide); for programs JSON, YAML, or names of "
    "objects; SARIF 2.1.0 for a code host.",
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
    faults: Mapping[str, str] = {}
    folder = None
    if place is not None:
        chosen = "--server" if isinstance(place, Server) else "a cluster"
        reason = "a server knows which kinds of clients are connected"
        refuse_beside(chosen, "client", reason=reason)
        refuse_beside(chosen, "as_served", reason="a server assumes nothing")
        answer, faults = _of(place)
    else:
        with stage(f"reading {manifests}"):
            side = read_folder(manifests, as_served=as_served, or_else=OR_ELSE, **mesh)
            answer, folder = side.list_problems(client), manifests
    listed = sorted(
        (one for one in answer.problems if one.code not in ignore),
        key=lambda one: Severity(one.severity).rank,
    )
    exit_code = int(any(_fails(one, fail_on) for one in listed))
    listing = _listing(listed, faults, NoAnswer.exit_code if faults else exit_code)
    if output in OUTPUTS:
        show(lambda: listing, output)
    if output == "sarif":
        click.echo(json.dumps(sarif(listed, folder), indent=2))
    else:
        click.echo("".join(f"{line_of(problem)}\n" for problem in listed), nl=False)
    click.echo(listing.summary, err=True)
    raise SystemExit(listing.exit_code)


def _of(place: Place) -> tuple[pb.ListProblemsResponse, Mapping[str, str]]:
    """What the replicas list, and why others have not answered."""
    with replicas_of(place) as replicas:
        answers = replicas.ask(lambda stub: stub.ListProblems, pb.ListProblemsRequest())
    answers.warn()
    problems = problems_together(answer.problems for answer in answers.messages.values())
    for one in problems:
        if one.severity not in tuple(Severity):  # of a server of another version
            one.severity = Severity.ERROR
    return pb.ListProblemsResponse(problems=problems), answers.faults


def _listing(problems: Sequence[pb.Problem], faults: Mapping[str, str], exit_code: int) -> Listing:
    counts = _counts(problems)
    return Listing(
        COLUMNS,
        [_row(problem) for problem in problems],
        list(dict.fromkeys(f"{one.kind}/{one.namespace}/{one.name}" for one in problems)),
        {
            "problems": [{name: getattr(one, name) for name in _FIELDS} for one in problems],
            "counts": dict(counts),
            "unanswered": dict(faults),
        },
        summary=summary_of(len(problems), "problem", counts),
        exit_code=exit_code,
    )


def _row(problem: pb.Problem) -> Sequence[Cell | str]:
    ref = ObjectRef(problem.kind, problem.namespace, problem.name)
    return (
        Cell(problem.severity, _MEANINGS[Severity(problem.severity)]),
        *(str(ref), problem.field or "-", problem.code),
        *(problem.reason, problem.source or "-", problem.message),
    )


def _fails(problem: pb.Problem, fail_on: str) -> bool:
    return fail_on != NONE and Severity(problem.severity).rank <= Severity(fail_on).rank


def _counts(problems: Sequence[pb.Problem]) -> Mapping[str, int]:
    """How many there are of each severity, also where there is none."""
    counts = Counter(problem.severity for problem in problems)
    return {severity.value: counts[severity] for severity in Severity}
