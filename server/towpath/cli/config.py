"""`towpath config`: what a running sidecar is offered, and what of it it has acknowledged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import click
import grpc
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc

from towpath.cli.complete import sidecar_names
from towpath.cli.entries import Entry, ResourceStatus, beside_envoy, content, entries
from towpath.cli.envoy_dump import envoy_resources
from towpath.cli.place import Place, place_options
from towpath.cli.replicas import Answers, replicas_of
from towpath.cli.server import TIMEOUT_S, NoAnswer
from towpath.model.names import SidecarId
from towpath.model.text import printable
from towpath.model.types import SHORT_NAMES, short_name
from towpath.summary import summarize
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

SUMMARY, DIFFERENCES = "summary", "differences"
_COLOURS = {"-": "red", "+": "green"}
Stream = tuple[str, int]
"""A replica, and the number of one of its streams."""


@dataclass(frozen=True, slots=True)
class Question:
    """A sidecar, which types (None: all), and whether its Envoy is asked as well, by its address
    (None: through a port-forward).
    """

    sidecar: SidecarId
    short: str | None
    envoy: bool
    envoy_address: str | None


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
    help="Only what the sidecar does not hold as it is offered: why, and what it holds instead.",
)
@click.option(
    "--envoy",
    is_flag=True,
    help="Compare with what the sidecar's Envoy itself has, through a port-forward to its pod.",
)
@click.option(
    "--envoy-address",
    metavar="HOST:PORT",
    help="With --envoy: where its admin port can be reached, in place of a port-forward.",
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
    *,
    place: Place,
    sidecar: str,
    short: str | None,
    only_differences: bool,
    envoy: bool,
    envoy_address: str | None,
    output: str,
) -> None:
    """Print what a running sidecar is offered, and what of it it has acknowledged.

    By type: what the sidecar has acknowledged, what it has rejected, with its error message, and
    what it will be sent in a moment. The replica that it is connected to answers. --diff goes by
    what the sidecar has answered, --envoy by the config dump of its Envoy, and prints differences
    alone.

    Exit code 0: there is an answer, and with --diff or --envoy no difference; 1: a difference; 2:
    the sidecar is connected to no replica, one that may know it has not answered, or its Envoy
    cannot be reached.
    """
    try:
        id_ = SidecarId.parse(sidecar)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="POD.NAMESPACE") from error
    if envoy_address is not None and not envoy:
        raise click.UsageError("--envoy-address: only with --envoy")
    only_differences = only_differences or envoy
    answers, streams = _asked(place, Question(id_, short, envoy, envoy_address))
    if only_differences:
        streams = {key: [one for one in all_ if one.differs] for key, all_ in streams.items()}
    for (replica, _), of_stream in streams.items():
        if len(streams) > 1:
            click.echo(printable(f"# stream on {replica}"))
        form = DIFFERENCES if only_differences and output == SUMMARY else output
        click.echo(_text(of_stream, form), nl=False)
    differs = only_differences and any(streams.values())
    raise SystemExit(answers.exit_code or int(differs))


def _asked(place: Place, question: Question) -> tuple[Answers[Any], dict[Stream, list[Entry]]]:
    """What the replicas say of each stream of the sidecar; NoAnswer if it has none."""
    node_id = str(question.sidecar)
    request = csds_pb2.ClientStatusRequest()
    request.node_matchers.add().node_id.exact = node_id

    def ask(channel: grpc.Channel) -> tuple[Any, pb.ListReplacedResponse]:
        csds = csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel)
        inspector = pb_grpc.InspectorStub(channel)
        replaced = pb.ListReplacedRequest(node_id=node_id)
        return (
            csds.FetchClientStatus(request, timeout=TIMEOUT_S),
            inspector.ListReplaced(replaced, timeout=TIMEOUT_S),
        )

    with replicas_of(place) as replicas:
        answers = replicas.each(ask)
    answers.warn()
    streams = {
        (replica, number): list(entries(stream, question.short, of_stream.resources))
        for replica, (status, replaced) in answers.messages.items()
        for number, (stream, of_stream) in enumerate(
            # A stream that has come between the two answers has accepted nothing yet.
            zip_longest(status.config, replaced.streams, fillvalue=pb.StreamReplaced())
        )
        if number < len(status.config)
    }
    if not streams:
        raise NoAnswer(
            f"{node_id} is connected to none of {', '.join(answers.messages)}: `towpath sidecars "
            "-o name` lists who is, `towpath render` prints what it would be sent"
        )
    if question.envoy:
        resources = envoy_resources(place, question.sidecar, question.envoy_address)
        streams = {
            key: list(beside_envoy(offers, resources, question.short))
            for key, offers in streams.items()
        }
    return answers, streams


def _text(of_stream: Sequence[Entry], output: str) -> str:
    if output == SUMMARY:
        return "".join(_summary(of_stream))
    if output == DIFFERENCES:
        return "".join(_differences(of_stream))
    document: dict[str, dict[str, Any]] = {}
    for entry in of_stream:
        document.setdefault(short_name(entry.type_url), {})[entry.name] = _in_full(entry)
    text = json.dumps(document, indent=2, sort_keys=True)
    if output == "json":
        return text + "\n"
    # A dozen milliseconds of imports that only this needs.
    import yaml

    return str(yaml.safe_dump(json.loads(text), sort_keys=True, width=100))


def _summary(of_stream: Sequence[Entry]) -> Iterator[str]:
    """For each type how it stands, what is not acknowledged, and what is offered in lines."""
    by_type: dict[str, list[Entry]] = {}
    for entry in of_stream:
        by_type.setdefault(entry.type_url, []).append(entry)
    for type_url in (one for one in SHORT_NAMES if one in by_type):
        of_type = by_type[type_url]
        acknowledged = sum(one.status is ResourceStatus.ACKNOWLEDGED for one in of_type)
        yield f"{short_name(type_url)}: {acknowledged} of {len(of_type)} acknowledged\n"
        yield from (f"  {printable(one.line)}\n" for one in of_type if one.differs)
        offered = summarize(one.offered for one in of_type if one.offered is not None)
        yield from (f"  {line}\n" for line in offered.splitlines())


def _in_full(entry: Entry) -> Mapping[str, Any]:
    return {
        "version": entry.version,
        "status": entry.status.name,
        "error": entry.error,
        "offered": content(entry.offered),
        "held": content(entry.present),
    }


def _differences(of_stream: Sequence[Entry]) -> Iterator[str]:
    for entry in of_stream:
        yield f"{printable(entry.line)}\n"
        for line in entry.changes():
            text = f"  {printable(line)}"
            # click leaves colours out where output is no terminal.
            yield (
                click.style(text, fg=colour) if (colour := _COLOURS.get(line[:1])) else text
            ) + "\n"
