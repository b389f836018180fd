"""`towpath sidecars`: who is connected to a running server, and what each has acknowledged."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from towpath.cli.place import Place, place_options
from towpath.cli.replicas import replicas_of
from towpath.cli.table import print_line, print_table
from towpath.cli.together import sidecars_together
from towpath.model.types import SHORT_NAMES, short_name
from towpath_api.v1 import inspector_pb2 as pb

HEADINGS = (
    *("NODE", "KIND", "VARIANT", "STATE", "SINCE", "IDENTITY", "CREDENTIAL", "UNTIL"),
    *(n.upper() for n in SHORT_NAMES.values()),
)


@click.command()
@place_options
@click.option("-o", "--output", type=click.Choice(("table", "json")), default="table")
def sidecars(place: Place, output: str) -> None:
    """List the sidecars connected to a running server.

    For each resource type: "ok" if the last response was acknowledged, "waiting" if it has not been
    answered yet, "REJECTED" with the client's error message below the table. IDENTITY is the
    service account that the CREDENTIAL proves, a certificate or a token, UNTIL it expires.
    """
    with replicas_of(place) as replicas:
        answers = replicas.ask(lambda stub: stub.ListSidecars, pb.ListSidecarsRequest())
    streams = sidecars_together(answers.messages)
    answer = pb.ListSidecarsResponse(sidecars=[one for _, one in streams])
    if output == "json":
        click.echo(json.dumps(MessageToDict(answer), indent=2))
    else:
        _print(answer)
    answers.warn()
    raise SystemExit(answers.exit_code)


def _print(answer: pb.ListSidecarsResponse) -> None:
    print_table(HEADINGS, [_row(sidecar) for sidecar in answer.sidecars])
    for sidecar in answer.sidecars:
        for delivery in sidecar.deliveries:
            if _state(delivery).startswith("REJECTED"):
                print_line(
                    f"{sidecar.node_id} rejected {short_name(delivery.type_url)} "
                    f"{', '.join(delivery.rejected.resource_names)}: {delivery.rejected.message}"
                )


def _row(sidecar: pb.Sidecar) -> tuple[str, ...]:
    by_type = {delivery.type_url: _state(delivery) for delivery in sidecar.deliveries}
    expires_at = sidecar.credential_expires_at if sidecar.identity else None
    return (
        sidecar.node_id,
        pb.Sidecar.ClientKind.Name(sidecar.client_kind).lower(),
        pb.Sidecar.Variant.Name(sidecar.variant).lower(),
        pb.Sidecar.State.Name(sidecar.state).lower().replace("_", " "),
        _time(sidecar.connected_at),
        sidecar.identity or "-",
        pb.Sidecar.Credential.Name(sidecar.credential).lower() if sidecar.identity else "none",
        _time(expires_at) if expires_at else "-",
        *(by_type.get(type_url, "-") for type_url in SHORT_NAMES),
    )


def _time(at: Timestamp) -> str:
    return f"{datetime.fromtimestamp(at.seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _state(delivery: pb.Delivery) -> str:
    if not delivery.HasField("sent"):
        return "-"
    if delivery.acknowledged.version == delivery.sent.version:
        return f"ok {delivery.sent.version[:8]}"
    if delivery.rejected.version == delivery.sent.version:
        return f"REJECTED {delivery.sent.version[:8]}"
    return f"waiting {delivery.sent.version[:8]}"
