"""`towpath explain`: is a request let out, and why."""

from __future__ import annotations

import json
from pathlib import Path

import click
from google.protobuf.json_format import MessageToDict

from towpath.admin.inspector import explanation_message
from towpath.app import Offline
from towpath.cli.options import setting_options
from towpath.cli.problems import offline
from towpath.cli.server import TIMEOUT_S, inspector, server_option
from towpath.hub.explain import parse_attempt
from towpath.model.names import Account
from towpath_api.v1 import inspector_pb2 as pb


@click.command()
@setting_options("manifests", "mesh_name", "osm_namespace", "cross_namespace_egress")
@server_option(default=None)
@click.option("--from", "account", required=True, metavar="NAMESPACE/SERVICEACCOUNT")
@click.option(
    "--to", required=True, metavar="URL", help="http://…, https://…, HOST:PORT or ADDRESS:PORT."
)
@click.option("--method", default="GET", show_default=True, help="HTTP method.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="HTTP header.")
@click.option("--address", default="", help="IPv4 address that is dialled, if --to has a name.")
@click.option("-o", "--output", type=click.Choice(("text", "json")), default="text")
def explain(
    *,
    manifests: Path | None,
    server: str | None,
    account: str,
    to: str,
    method: str,
    headers: tuple[str, ...],
    address: str,
    output: str,
    **mesh: str,
) -> None:
    """Say whether a request is allowed out of the mesh, and why.

    It asks a running server (--server), or a folder of manifests (--manifests). On a denial it
    prints the smallest policy that would allow the request. Exit code 0: allowed; 1: denied; 2:
    bad usage.
    """
    request = pb.ExplainRequest(
        service_account=account,
        to=to,
        method=method,
        headers=_pairs(headers),
        address=address,
    )
    if server is not None:
        with inspector(server) as stub:
            answer = stub.Explain(request, timeout=TIMEOUT_S)
    else:
        answer = _offline(request, offline(manifests, **mesh))
    click.echo(json.dumps(MessageToDict(answer), indent=2) if output == "json" else _text(answer))
    raise SystemExit(0 if answer.allowed else 1)


def _offline(request: pb.ExplainRequest, mesh: Offline) -> pb.ExplainResponse:
    try:
        account = Account.parse(request.service_account)
        attempt = parse_attempt(
            request.to,
            method=request.method,
            headers=tuple(sorted(request.headers.items())),
            address=request.address or None,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return explanation_message(account, mesh.explain(account, attempt))


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
    if answer.problems:
        lines.append("Problems of the policies that speak for this service account:")
    for problem in answer.problems:
        name = f"{problem.kind} {problem.namespace}/{problem.name}"
        lines.append(f"  {problem.source or '-'}: {name} {problem.field}: {problem.message}")
    if answer.suggestion:
        lines += ["This would allow it:", "---", answer.suggestion.rstrip()]
    return "\n".join(lines)
