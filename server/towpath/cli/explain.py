"""`towpath explain`: is a request let out, and why."""

from __future__ import annotations

import json
from pathlib import Path

import click

from towpath.app import Offline
from towpath.cli.complete import account_names
from towpath.cli.folder import MESH, OR_ELSE, as_served_option, read_folder, remark_assumptions
from towpath.cli.messages import document, line_of
from towpath.cli.options import refuse_beside
from towpath.cli.place import Place, folder_or_place_options
from towpath.cli.replicas import replicas_of
from towpath.cli.server import NoAnswer, Server
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.model.text import printable
from towpath_api.v1 import inspector_pb2 as pb


@click.command(cls=SettingsCommand)
@setting_options(*MESH)
@folder_or_place_options
@click.option(
    "--from",
    "account",
    required=True,
    metavar="NAMESPACE/SERVICEACCOUNT|ADDRESS",
    help="The client: a service account, or the IPv4 address of any client.",
    shell_complete=account_names,
)
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
@as_served_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="Sentences, or one JSON document.",
)
def explain(
    *,
    manifests: Path | None,
    place: Place | None,
    account: str,
    to: str,
    method: str,
    headers: tuple[str, ...],
    address: str,
    as_served: bool,
    output: str,
    **mesh: str,
) -> None:
    """Say whether a request is allowed, out of the mesh or inside it, and why.

    The answer comes from a folder of manifests (--manifests; of which the same is assumed as by
    `towpath problems`, and standard error says what), a running server (--server), or the
    replicas in a cluster, which have to agree. A denial comes with the smallest policy that would
    allow the request. Exit code 0: allowed; 1: denied; 2: bad usage, or no answer.
    """
    request = pb.ExplainRequest(
        service_account=account,
        to=to,
        method=method,
        headers=_pairs(headers),
        address=address,
    )
    if place is not None:
        chosen = "--server" if isinstance(place, Server) else "a cluster"
        refuse_beside(chosen, "as_served", reason="a server assumes nothing")
        response = _asked(request, place)
    else:
        side = read_folder(manifests, as_served=as_served, or_else=OR_ELSE, **mesh)
        remark_assumptions({"": side})
        response = _offline(request, side)
    as_json = output == "json"
    click.echo(json.dumps(document(response), indent=2) if as_json else _text(response))
    raise SystemExit(0 if response.allowed else 1)


def _asked(request: pb.ExplainRequest, place: Place) -> pb.ExplainResponse:
    """What the replicas say; NoAnswer if one allows what another denies."""
    with replicas_of(place) as replicas:
        answers = replicas.ask(lambda stub: stub.Explain, request)
    answers.warn()
    allowed_by = {name: answer.allowed for name, answer in answers.messages.items()}
    if len(set(allowed_by.values())) > 1:
        allowing, denying = (
            ", ".join(name for name, one in allowed_by.items() if one is which)
            for which in (True, False)
        )
        raise NoAnswer(
            f"{allowing} allows it and {denying} denies it: one of them has not seen the last "
            "change yet, so ask again; `towpath explain --server` asks one alone"
        )
    return next(iter(answers.messages.values()))


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
    lines += [f"  {line_of(problem)}" for problem in answer.problems]
    if answer.suggestion:
        lines += ["This would allow it:", "---", *answer.suggestion.rstrip().split("\n")]
    return "\n".join(map(printable, lines))
