"""How a server and its mesh stand, and what service accounts may reach, as messages carry it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from towpath import __version__
from towpath.answers.reach import AccountReach, ReachedPlace
from towpath.hub.hub import Hub
from towpath.planning.config import config
from towpath.planning.identity import has_authority
from towpath.planning.inbound import lets_in
from towpath.rollout.records import Outcome, StreamRecord
from towpath_api.v1 import inspector_pb2 as pb

MOST_ACCOUNTS = 100
"""Of one answer about what accounts may reach."""


def _never() -> datetime | None:
    return None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a server knows beside its mesh: for how long its source has not been readable, in
    seconds (0: it is); when certificates expire (None: there is none): its own, that of the
    authority, and the first of those that sidecars are sent; and, by their fingerprints, the
    authority's roots and the certificate that signs ("": none).
    """

    stale_seconds: Callable[[], float] = lambda: 0.0
    certificate_expires_at: Callable[[], datetime | None] = _never
    authority_expires_at: Callable[[], datetime | None] = _never
    leaf_expires_at: Callable[[], datetime | None] = _never
    trusted_roots: Callable[[], Iterable[str]] = tuple
    signing_certificate: Callable[[], str] = str


def counts_of(records: Iterable[StreamRecord]) -> pb.SidecarCounts:
    """How many streams stand in which way."""
    counts = Counter(record.outcome for record in records)
    return pb.SidecarCounts(
        accepted=counts[Outcome.ACCEPTED],
        unanswered=counts[Outcome.UNANSWERED],
        rejecting=counts[Outcome.REJECTING],
        pod_unknown=counts[Outcome.POD_UNKNOWN],
    )


async def overview(hub: Hub, surroundings: Surroundings) -> pb.GetOverviewResponse:
    """The answer to GetOverview."""
    mesh = hub.mesh
    switches = config(mesh)
    problems = await hub.in_turn(hub.problems)
    answer = pb.GetOverviewResponse(
        version=__version__,
        mesh_name=mesh.mesh_name,
        osm_namespace=mesh.osm_namespace,
        ready=hub.ready,
        stale_seconds=surroundings.stale_seconds(),
        passthrough=switches.enable_egress,
        egress_policies=switches.enable_egress_policy,
        permissive=switches.permissive,
        mtls=switches.mtls if has_authority(mesh) else "",
        observe_egress=switches.observe_egress,
        sidecars=counts_of(hub.records),
        objects={kind: count for kind, count in hub.object_counts().items() if count},
        problems=Counter(str(problem.severity) for problem in problems),
        trusted_roots=surroundings.trusted_roots(),
        signing_certificate=surroundings.signing_certificate(),
    )
    for stamp, expiry in (
        (answer.certificate_expires_at, surroundings.certificate_expires_at()),
        (answer.authority_expires_at, surroundings.authority_expires_at()),
        (answer.leaf_expires_at, surroundings.leaf_expires_at()),
    ):
        if expiry is not None:
            stamp.FromDatetime(expiry)
    return answer


async def reach_of_accounts(hub: Hub, request: pb.ListReachRequest) -> pb.ListReachResponse:
    """The answer to ListReach."""
    accounts = await hub.in_turn(hub.accounts)
    chosen = [one for one in accounts if request.contains in str(one)]
    limit = min(request.limit or MOST_ACCOUNTS, MOST_ACCOUNTS)
    page = chosen[request.offset :][:limit]
    reach = [await hub.in_turn(hub.reach, account) for account in page]
    return pb.ListReachResponse(
        reach=[_reach(one) for one in reach],
        total=len(chosen),
        permissive=lets_in(hub.mesh),
        passthrough=config(hub.mesh).enable_egress,
    )


def _reach(reach: AccountReach) -> pb.AccountReach:
    return pb.AccountReach(
        service_account=str(reach.account),
        services=[_place(one) for one in reach.services],
        outside=[_place(one) for one in reach.outside],
        pods=reach.pods,
        offers=reach.offers,
    )


def _place(place: ReachedPlace) -> pb.ReachedPlace:
    return pb.ReachedPlace(name=place.name, ports=place.ports, policies=place.policies)
