"""`towpath config`: what a running sidecar is offered, and what of it it has acknowledged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc
from google.protobuf.json_format import MessageToDict

from towpath.cli.complete import sidecar_names
from towpath.cli.entries import Entry, ResourceStatus, entries
from towpath.cli.place import Place, place_options
from towpath.cli.replicas import replicas_of
from towpath.cli.server import NoAnswer
from towpath.model.names import SidecarId
from towpath.model.text import printable
from towpath.model.types import SHORT_NAMES, short_name
from towpath.summary import summarize

SUMMARY = "summary"


@click.command()
@click.argument("sidecar", metavar="POD.NAMESPACE", shell_complete=sidecar_names)
@place_options
@click.option(
    "--type", "short", type=click.Choice(tuple(SHORT_NAMES.values())), help="Only this type."
)
@click.option(
    "--diff",
    "only_differences",
    is_flag=True,
    help="Only what the sidecar does not hold as it is offered, with why.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice((SUMMARY, "json", "yaml")),
    default=SUMMARY,
    show_default=True,
    help="What each listener, route, cluster and endpoint list decides, or every field.",
)
def config(
    *, place: Place, sidecar: str, short: str | None, only_differences: bool, output: str
) -> None:
    """Print what a running sidecar is offered, and what of it it has acknowledged.

    By type: what the sidecar has acknowledged, what it has rejected, with its error message, and
    what it will be sent in a moment. The replica that it is connected to answers.

    Exit code 0: there is an answer, and with --diff no difference; 1: a difference; 2: the sidecar
    is connected to no replica, or one that may know it has not answered.
    """
    try:
        SidecarId.parse(sidecar)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="POD.NAMESPACE") from error
    request = csds_pb2.ClientStatusRequest()
    request.node_matchers.add().node_id.exact = sidecar
    with replicas_of(place) as replicas:
        answers = replicas.ask_by_channel(
            lambda channel: (
                csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel).FetchClientStatus
            ),
            request,
        )
    answers.warn()
    streams = {
        (replica, number): list(entries(one, short))
        for replica, answer in answers.messages.items()
        for number, one in enumerate(answer.config)
    }
    if not streams:
        raise NoAnswer(
            f"{sidecar} is connected to none of {', '.join(answers.messages)}: `towpath sidecars "
            "-o name` lists who is, `towpath render` prints what it would be sent"
        )
    if only_differences:
        streams = {key: [one for one in all_ if one.differs] for key, all_ in streams.items()}
    for (replica, _), resources in streams.items():
        if len(streams) > 1:
            click.echo(printable(f"# stream on {replica}"))
        click.echo(_text(resources, output), nl=False)
    differs = only_differences and any(streams.values())
    raise SystemExit(answers.exit_code or int(differs))


def _text(entries: Sequence[Entry], output: str) -> str:
    if output == SUMMARY:
        return "".join(_summary(entries))
    document: dict[str, dict[str, Any]] = {}
    for entry in entries:
        document.setdefault(short_name(entry.type_url), {})[entry.name] = _in_full(entry)
    text = json.dumps(document, indent=2, sort_keys=True)
    if output == "json":
        return text + "\n"
    # A dozen milliseconds of imports that only this needs.
    import yaml

    return str(yaml.safe_dump(json.loads(text), sort_keys=True, width=100))


def _summary(entries: Sequence[Entry]) -> Iterator[str]:
    """For each type how it stands, what is not acknowledged, and what is offered in lines."""
    by_type: dict[str, list[Entry]] = {}
    for entry in entries:
        by_type.setdefault(entry.type_url, []).append(entry)
    for type_url in (one for one in SHORT_NAMES if one in by_type):
        of_type = by_type[type_url]
        acknowledged = sum(one.status is ResourceStatus.ACKNOWLEDGED for one in of_type)
        yield f"{short_name(type_url)}: {acknowledged} of {len(of_type)} acknowledged\n"
        yield from (f"  {printable(one.line)}\n" for one in of_type if one.differs)
        offered = summarize(one.offered for one in of_type if one.offered is not None)
        yield from (f"  {line}\n" for line in offered.splitlines())


def _in_full(entry: Entry) -> Mapping[str, Any]:
    from towpath.encode.pack import unpack

    resource = None if entry.offered is None else MessageToDict(unpack(entry.offered))
    return {
        "version": entry.version,
        "status": entry.status.name,
        "error": entry.error,
        "offered": resource,
    }
