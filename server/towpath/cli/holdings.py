"""`towpath certificates list`: whose certificate each sidecar holds, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import click
import grpc
from envoy.config.core.v3.base_pb2 import DataSource
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc

from towpath.cli.listing import Column, Listing, output_option, show, summary_of
from towpath.cli.place import Place, place_options
from towpath.cli.replicas import Replicas, replicas_of
from towpath.cli.server import TIMEOUT_S
from towpath.model.types import SECRET
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from cryptography import x509

COLUMNS = (
    *(Column("ACCOUNT"), Column("VALID FROM"), Column("VALID UNTIL")),
    *(Column("SIDECARS"), Column("ACCEPTED"), Column("HOLDERS", wide=True)),
)


@dataclass(frozen=True, slots=True)
class Holding:
    """What one stream was sent of secrets: `accepted` if it has acknowledged all that it is to
    hold; `chains` by the names of the accounts, the leaf first; the `roots` of each name.
    """

    node_id: str
    accepted: bool
    chains: dict[str, list[x509.Certificate]]
    roots: dict[str, list[x509.Certificate]]


def holdings(channel: grpc.Channel) -> list[Holding]:
    """Of every sidecar of that server to which secrets are sent. grpc.RpcError."""
    stub = pb_grpc.InspectorStub(channel)
    records = stub.ListSidecars(pb.ListSidecarsRequest(), timeout=TIMEOUT_S).sidecars
    csds = csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel)
    present = []
    for node_id in sorted({one.node_id for one in records if _has_secrets(one)}):
        request = csds_pb2.ClientStatusRequest()
        request.node_matchers.add().node_id.exact = node_id
        answer = csds.FetchClientStatus(request, timeout=TIMEOUT_S)
        present += [_holding(node_id, config) for config in answer.config]
    return present


@click.command("list")
@place_options
@output_option
def list_certificates(place: Place, output: str) -> None:
    """List the certificates that sidecars show each other, and how many hold them.

    "ACCEPTED" are the sidecars that have acknowledged what they were sent last; "HOLDERS" are all.
    In a cluster these are the sidecars of every replica; --server asks one server.
    """
    with replicas_of(place) as replicas:
        show(lambda: _listing(replicas), output)


def _listing(replicas: Replicas) -> Listing:
    answers = replicas.each(holdings)
    answers.warn()
    by_leaf: dict[tuple[str, str, str], list[Holding]] = {}
    for holding in chain.from_iterable(answers.messages.values()):
        for name, leaves in holding.chains.items():
            leaf = leaves[0]
            times = (leaf.not_valid_before_utc, leaf.not_valid_after_utc)
            begin, end = (f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in times)
            by_leaf.setdefault((name, begin, end), []).append(holding)
    rows = [
        (*leaf, len(copies), sum(one.accepted for one in copies), [one.node_id for one in copies])
        for leaf, copies in sorted(by_leaf.items())
    ]
    fields = ("serviceAccount", "validFrom", "validUntil", "sidecars", "accepted", "holders")
    return Listing(
        COLUMNS,
        [(*map(str, counts), ", ".join(nodes)) for *counts, nodes in rows],
        list(dict.fromkeys(account for account, *_ in rows)),
        {
            "certificates": [dict(zip(fields, row, strict=True)) for row in rows],
            "unanswered": dict(answers.faults),
        },
        summary=summary_of(len(rows), "certificate", {}),
        exit_code=answers.exit_code,
    )


def _has_secrets(sidecar: pb.Sidecar) -> bool:
    return any(delivery.type_url == SECRET for delivery in sidecar.deliveries)


def _holding(node_id: str, config: csds_pb2.ClientConfig) -> Holding:
    from towpath import pem

    accepted, chains, roots = True, {}, {}
    for one in config.generic_xds_configs:
        if one.type_url != SECRET:
            continue
        accepted = accepted and one.config_status == csds_pb2.SYNCED
        secret = Secret()
        one.xds_config.Unpack(secret)
        if secret.HasField("tls_certificate"):
            data = secret.tls_certificate.certificate_chain
            account = one.name.partition(":")[2]
            chains[account] = pem.certificates(_content(data), one.name)
        elif secret.HasField("validation_context"):
            data = secret.validation_context.trusted_ca
            roots[one.name] = pem.certificates(_content(data), one.name)
    return Holding(node_id, accepted, chains, roots)


def _content(data: DataSource) -> bytes:
    inline: bytes = data.inline_bytes or data.inline_string.encode()
    return inline
