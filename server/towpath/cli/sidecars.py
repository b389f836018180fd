"""`towpath sidecars`: who is connected to a running server, and what each has acknowledged."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
import grpc
from google.protobuf.json_format import MessageToDict

from towpath.model.types import SHORT_NAMES, short_name
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

HEADINGS = ("NODE", "KIND", "VARIANT", "STATE", "SINCE", *(n.upper() for n in SHORT_NAMES.values()))


@click.command()
@click.option(
    "--server",
    default="127.0.0.1:15128",
    show_default=True,
    envvar="TOWPATH_ADS_ADDRESS",
    help="Address of the running server (its --ads-address).",
)
@click.option("-o", "--output", type=click.Choice(("table", "json")), default="table")
def sidecars(server: str, output: str) -> None:
    """List the sidecars connected to a running server.

    For each resource type: «ok» when the last response sent was acknowledged, «waiting» when it
    was not answered yet, «REJECTED» with the client's words below the table.
    """
    try:
        with grpc.insecure_channel(server) as channel:
            answer = pb_grpc.InspectorStub(channel).ListSidecars(
                pb.ListSidecarsRequest(), timeout=10
            )
    except grpc.RpcError as error:
        details = error.details() if isinstance(error, grpc.Call) else str(error)
        raise click.ClickException(f"{server}: {details}") from error
    if output == "json":
        click.echo(json.dumps(MessageToDict(answer), indent=2))
        return
    rows = [HEADINGS, *(_row(sidecar) for sidecar in answer.sidecars)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        click.echo(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    for sidecar in answer.sidecars:
        for delivery in sidecar.deliveries:
            if _state(delivery).startswith("REJECTED"):
                click.echo(
                    f"{sidecar.node_id} rejected {short_name(delivery.type_url)} "
                    f"{', '.join(delivery.rejected.resource_names)}: {delivery.rejected.message}"
                )


def _row(sidecar: pb.Sidecar) -> tuple[str, ...]:
    by_type = {delivery.type_url: _state(delivery) for delivery in sidecar.deliveries}
    since = datetime.fromtimestamp(sidecar.connected_at.seconds, UTC)
    return (
        sidecar.node_id,
        pb.Sidecar.ClientKind.Name(sidecar.client_kind).lower(),
        pb.Sidecar.Variant.Name(sidecar.variant).lower(),
        pb.Sidecar.State.Name(sidecar.state).lower().replace("_", " "),
        f"{since:%Y-%m-%dT%H:%M:%SZ}",
        *(by_type.get(type_url, "-") for type_url in SHORT_NAMES),
    )


def _state(delivery: pb.Delivery) -> str:
    if delivery.acknowledged.version == delivery.sent.version:
        return f"ok {delivery.sent.version[:8]}"
    if delivery.rejected.version == delivery.sent.version:
        return f"REJECTED {delivery.sent.version[:8]}"
    return f"waiting {delivery.sent.version[:8]}"
