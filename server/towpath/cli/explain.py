"""`towpath explain`: is a request let out, and why."""

from __future__ import annotations

import json
from pathlib import Path

import click
from google.protobuf.json_format import MessageToDict

from towpath.app import Offline
from towpath.cli.folder import MESH, ONE_ANSWERS, offline
from towpath.cli.options import refuse_beside
from towpath.cli.server import TIMEOUT_S, NoAnswer, Server, inspector, server_option
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.model.names import ObjectRef
from towpath.model.problem import problem_line
from towpath_api.v1 import inspector_pb2 as pb


@click.command(cls=SettingsCommand)
@setting_options(*MESH)
@server_option(default=None)
@click.option("--from", "account", required=True, metavar="NAMESPACE/SERVICEACCOUNT")
@click.option(
    "--to",
    required=True,
    metavar="URL",
    help="http://…, https://…, HOST:PORT or ADDRESS:PORT (http://HOST* for OPTIONS *).",
)
@click.option("--method", default="GET", show_default=True, help="HTTP method.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="HTTP header.")
@click.option(
    "--address", default="", help="IPv4 address that the client connects to, if --to has a name."
)
@click.option("-o", "--output", type=click.Choice(("text", "json")), default="text")
def explain(
    *,
    manifests: Path | None,
    server: Server | None,
    account: str,
    to: str,
    method: str,
    headers: tuple[str, ...],
    address: str,
    output: str,
    **mesh: str,
) -> None:
    """Say whether a request is allowed, out of the mesh or inside it, and why.

    The answer comes from a running server (--server) or a folder of manifests (--manifests). A
    denial comes with the smallest policy that would allow the request. Exit code 0: allowed; 1:
    denied; 2: bad usage, or no answer.
    """
    request = pb.ExplainRequest(
        service_account=account,
        to=to,
        method=method,
        headers=_pairs(headers),
        address=address,
    )
    if server is not None:
        refuse_beside("--server", *MESH, reason=ONE_ANSWERS)
        with inspector(server, failure=NoAnswer) as stub:
            response = stub.Explain(request, timeout=TIMEOUT_S)
    else:
        response = _offline(request, offline(manifests, or_else=", or --server", **mesh))
    as_json = output == "json"
    click.echo(json.dumps(MessageToDict(response), indent=2) if as_json else _text(response))
    raise SystemExit(0 if response.allowed else 1)


def _offline(request: pb.ExplainRequest, mesh: Offline) -> pb.ExplainResponse:
    try:
        return mesh.explain(request)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _pairs(headers: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for header in headers:
        name, equals, value = header.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{header!r} is not NAME=VALUE", param_hint="--header")
        pairs[name] = value
    return pairs


def _text(answer: pb.ExplainResponse) -> str:
    verdict = f"ALLOW, by {answer.via}" if answer.allowed else "DENY"
    lines = [verdict, *(f"  {n}. {reason}" for n, reason in enumerate(answer.reasons, 1))]
    if answer.sources:
        lines.append("Policies that select this service account:")
    for policy, source in sorted(answer.sources.items()):
        lines.append(f"  {policy}" + (f" ({source})" if source else ""))
    if answer.problems:
        lines.append("Problems of these policies:")
    for problem in answer.problems:
        ref = ObjectRef(problem.kind, problem.namespace, problem.name)
        field, reason, message = problem.field, problem.reason, problem.message
        lines.append(f"  {problem_line(ref, field, reason, message, problem.source)}")
    if answer.suggestion:
        lines += ["This would allow it:", "---", answer.suggestion.rstrip()]
    return "\n".join(lines)
