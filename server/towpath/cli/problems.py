"""`towpath problems`: what is wrong with a folder of manifests, or with what a server holds."""

from __future__ import annotations

from pathlib import Path

import click

from towpath.cli.folder import MESH, ONE_ANSWERS, offline
from towpath.cli.options import ClientKindType, refuse_beside
from towpath.cli.server import TIMEOUT_S, NoAnswer, Server, inspector, server_option
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.model.names import ClientKind, ObjectRef
from towpath.model.problem import problem_line
from towpath_api.v1 import inspector_pb2 as pb


@click.command(cls=SettingsCommand)
@setting_options(*MESH)
@server_option(default=None)
@click.option(
    "--client",
    type=ClientKindType(),
    help="Also list what sidecars of this kind cannot enforce (NotEnforceable).",
)
def problems(
    *, manifests: Path | None, server: Server | None, client: ClientKind | None, **mesh: str
) -> None:
    """List the problems of a folder of manifests, or of the objects that a running server has read.

    A running server (--server) also reports what sidecars rejected, with their error messages.
    Exit code 0: no problems; 1: problems; 2: the folder or the server could not be read.
    """
    if server is not None:
        refuse_beside(
            "--server", "client", reason="a server knows which kinds of clients are connected"
        )
        refuse_beside("--server", *MESH, reason=ONE_ANSWERS)
        lines = _of(server)
    else:
        lines = [
            str(problem)
            for problem in offline(manifests, or_else=", or --server", **mesh).problems(client)
        ]
    for line in lines:
        click.echo(line)
    click.echo(f"{len(lines)} problem{'' if len(lines) == 1 else 's'}", err=True)
    raise SystemExit(1 if lines else 0)


def _of(server: Server) -> list[str]:
    with inspector(server, failure=NoAnswer) as stub:
        answer = stub.ListProblems(pb.ListProblemsRequest(), timeout=TIMEOUT_S)
    return [
        problem_line(ObjectRef(p.kind, p.namespace, p.name), p.field, p.reason, p.message, p.source)
        for p in answer.problems
    ]
