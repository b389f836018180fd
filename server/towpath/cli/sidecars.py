"""`towpath sidecars`: who is connected to the control plane, and what each has acknowledged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from google.protobuf.timestamp_pb2 import Timestamp

from towpath.cli.listing import Cell, Column, Listing, age, listing_options, show, summary_of
from towpath.cli.messages import document
from towpath.cli.place import Place, place_options
from towpath.cli.replicas import Replicas, replicas_of
from towpath.cli.together import sidecars_together
from towpath.model.types import SHORT_NAMES, short_name
from towpath_api.v1 import inspector_pb2 as pb

COLUMNS = (
    *(Column("NODE"), Column("KIND"), Column("STATE"), Column("AGE"), Column("IDENTITY")),
    *(Column(name, wide=True) for name in ("REPLICA", "VARIANT", "SINCE", "CREDENTIAL", "UNTIL")),
    Column("CERTIFICATE UNTIL", wide=True),
    *(Column(name.upper()) for name in SHORT_NAMES.values()),
)
OK, WAITING, REJECTING, UNKNOWN = "ok", "waiting", "rejecting", "waiting for pod"
STATES = {OK: "good", REJECTING: "bad", WAITING: "pending", UNKNOWN: "pending"}
"""In the order of the summary, with what each means."""


@click.command()
@place_options
@listing_options
def sidecars(place: Place, output: str, *, watch: bool) -> None:
    """List the sidecars connected to the control plane.

    In a cluster these are the sidecars of every replica; --server asks one server. For each
    resource type: "ok" if the last response was acknowledged, "waiting" if it has not been answered
    yet, "REJECTED" with the client's error message below the table. IDENTITY is the service account
    that the CREDENTIAL proves, a certificate or a token, UNTIL it expires. CERTIFICATE UNTIL is
    when the certificate ends that the sidecar shows other sidecars, if it takes part in mutual TLS.

    Exit code 0: every replica has answered; 2: one has not, and standard error says why.
    """
    with replicas_of(place) as replicas:
        show(lambda: _listing(replicas), output, watch=watch)


def _listing(replicas: Replicas) -> Listing:
    answers = replicas.ask(lambda stub: stub.ListSidecars, pb.ListSidecarsRequest())
    answers.warn()
    streams = sidecars_together(answers.messages)
    counts = Counter(_state(one) for _, one in streams)
    return Listing(
        COLUMNS,
        [_row(replica, sidecar) for replica, sidecar in streams],
        [sidecar.node_id for _, sidecar in streams],
        {
            "sidecars": [{"replica": name, **document(sidecar)} for name, sidecar in streams],
            "unanswered": dict(answers.faults),
        },
        [line for _, sidecar in streams for line in _rejections(sidecar)],
        summary_of(len(streams), "sidecar", {state: counts[state] for state in STATES}),
        answers.exit_code,
    )


def _row(replica: str, sidecar: pb.Sidecar) -> Sequence[Cell | str]:
    by_type = {one.type_url: _cell(one) for one in sidecar.deliveries}
    expires_at = sidecar.credential_expires_at if sidecar.identity else None
    state = _state(sidecar)
    return (
        sidecar.node_id,
        pb.Sidecar.ClientKind.Name(sidecar.client_kind).lower(),
        Cell(state, STATES[state]),
        age(time.time() - sidecar.connected_at.seconds),
        sidecar.identity or "-",
        replica,
        pb.Sidecar.Variant.Name(sidecar.variant).lower(),
        _time(sidecar.connected_at),
        pb.Sidecar.Credential.Name(sidecar.credential).lower() if sidecar.identity else "none",
        _time(expires_at) if expires_at else "-",
        _time(sidecar.certificate_expires_at) if _shows_certificate(sidecar) else "-",
        *(by_type.get(type_url, "-") for type_url in SHORT_NAMES),
    )


def _shows_certificate(sidecar: pb.Sidecar) -> bool:
    return sidecar.HasField("certificate_expires_at")


def _state(sidecar: pb.Sidecar) -> str:
    """That of the stream as a whole: the worst of its types."""
    if sidecar.state == pb.Sidecar.WAITING_FOR_POD:
        return UNKNOWN
    states = {_answer(one) for one in sidecar.deliveries}
    return next((state for state in (REJECTING, WAITING) if state in states), OK)


def _answer(delivery: pb.Delivery) -> str:
    """What the client has made of the last response; "" if there was none."""
    if not delivery.HasField("sent"):
        return ""
    if delivery.acknowledged.version == delivery.sent.version:
        return OK
    return REJECTING if delivery.rejected.version == delivery.sent.version else WAITING


def _cell(delivery: pb.Delivery) -> Cell:
    answer = _answer(delivery)
    word = "REJECTED" if answer == REJECTING else answer
    text = f"{word} {delivery.sent.version[:8]}" if answer else "-"
    return Cell(text, STATES.get(answer, ""))


def _rejections(sidecar: pb.Sidecar) -> list[str]:
    return [
        f"{sidecar.node_id} rejected {short_name(one.type_url)} "
        f"{', '.join(one.rejected.resource_names)}: {one.rejected.message}"
        for one in sidecar.deliveries
        if _answer(one) == REJECTING
    ]


def _time(at: Timestamp) -> str:
    return f"{datetime.fromtimestamp(at.seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
