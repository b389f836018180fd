"""What the Inspector says for a page: how a server stands, the worst sidecars first, who may reach
what.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NoReturn

import grpc
import pytest

from support.objects import egress, mesh_config, namespace, pod, service, service_account
from support.running_hub import RunningHub
from towpath.admin.inspector import Inspector
from towpath.admin.overview import MOST_ACCOUNTS, Surroundings
from towpath.model.mesh import Object
from towpath.model.observation import EgressObservation
from towpath.model.types import CLUSTER
from towpath.rollout.records import Outcome
from towpath.telemetry.metrics import STREAM_STATES
from towpath_api.v1 import inspector_pb2 as pb

MESH: tuple[Object, ...] = (
    namespace(),
    replace(mesh_config(policies=True), observe_egress=EgressObservation.NAMES),
    service("web"),
    *(pod(name) for name in ("good", "mute", "poor")),
)
EXPIRY = datetime(2027, 1, 1, tzinfo=UTC)


class AbortedError(Exception):
    """What the client would be told instead of an answer."""


class Context:
    """As much of gRPC's context as the Inspector uses."""

    async def abort(self, status: grpc.StatusCode, details: str) -> NoReturn:
        raise AbortedError(status, details)


CONTEXT: Any = Context()


async def _four_sidecars(running: RunningHub) -> Inspector:
    """One that has accepted all, one that has not answered, one that rejects, one without a pod."""
    await running.holds(*MESH)
    records = running.hub.records
    good, mute, poor = (running.attach(name) for name in ("good", "mute", "poor"))
    running.attach("absent")
    for stream in (good, mute, poor):
        await stream.next()
    records.settled(good.record, now=True)
    records.sent(poor.record, CLUSTER, version="2", names=("b",))
    records.rejected(poor.record, CLUSTER, version="2", names=("b",), message="no")
    return Inspector(running.hub)


async def _listed(inspector: Inspector, **ask: Any) -> tuple[list[str], pb.SidecarCounts]:
    answer = await inspector.ListSidecars(pb.ListSidecarsRequest(**ask), CONTEXT)
    return [one.pod for one in answer.sidecars], answer.counts


async def test_the_worst_sidecars_come_first(running: RunningHub) -> None:
    inspector = await _four_sidecars(running)
    names, counts = await _listed(inspector, worst_first=True)

    assert ["poor", "absent", "mute", "good"] == names
    assert pb.SidecarCounts(accepted=1, unanswered=1, rejecting=1, pod_unknown=1) == counts


async def test_a_limit_ends_the_list_and_not_the_counts(running: RunningHub) -> None:
    inspector = await _four_sidecars(running)
    names, counts = await _listed(inspector, worst_first=True, limit=1)

    assert (["poor"], 1) == (names, counts.accepted)


async def test_sidecars_are_found_by_a_part_of_their_name_or_account(running: RunningHub) -> None:
    inspector = await _four_sidecars(running)

    assert ["mute"] == (await _listed(inspector, contains="ut"))[0]
    assert ["good", "mute", "poor"] == (await _listed(inspector, contains="shop/default"))[0]


async def test_sidecars_are_found_by_how_they_stand(running: RunningHub) -> None:
    inspector = await _four_sidecars(running)
    names, counts = await _listed(inspector, outcomes=[pb.Sidecar.REJECTING])

    assert (["poor"], 1) == (names, counts.unanswered)


async def test_an_overview_says_how_mesh_and_sidecars_stand(running: RunningHub) -> None:
    await _four_sidecars(running)
    inspector = Inspector(running.hub, None, Surroundings(lambda: 7.5, lambda: EXPIRY))
    answer = await inspector.GetOverview(pb.GetOverviewRequest(), CONTEXT)

    assert (True, False, True, True) == (
        answer.ready,
        answer.passthrough,
        answer.egress_policies,
        answer.permissive,
    )
    assert ("osm", "osm-system", "", "names") == (
        answer.mesh_name,
        answer.osm_namespace,
        answer.mtls,
        answer.observe_egress,
    )
    assert 7.5 == answer.stale_seconds
    assert EXPIRY == answer.certificate_expires_at.ToDatetime(UTC)
    assert not answer.HasField("authority_expires_at")
    assert ([], "") == ([*answer.trusted_roots], answer.signing_certificate)
    assert 1 == answer.sidecars.rejecting
    assert 3 == answer.objects["Pod"]


async def test_reach_is_told_page_by_page(running: RunningHub) -> None:
    accounts = [service_account(f"a{n:03}") for n in range(MOST_ACCOUNTS + 20)]
    await running.holds(*MESH, *accounts, egress())
    inspector = Inspector(running.hub)

    first = await inspector.ListReach(pb.ListReachRequest(contains="/a"), CONTEXT)
    rest = await inspector.ListReach(pb.ListReachRequest(contains="/a", offset=100), CONTEXT)
    one = await inspector.ListReach(pb.ListReachRequest(contains="default", limit=1), CONTEXT)

    assert (MOST_ACCOUNTS, MOST_ACCOUNTS + 20) == (len(first.reach), first.total)
    assert ["shop/a100", "shop/a119"] == [rest.reach[n].service_account for n in (0, -1)]
    (place,) = one.reach[0].outside
    assert ("httpbin.org", [80], ["shop/out"]) == (
        place.name,
        list(place.ports),
        list(place.policies),
    )


async def test_nobody_reaches_anything_before_all_is_listed(running: RunningHub) -> None:
    with pytest.raises(AbortedError) as aborted:
        await Inspector(running.hub).ListReach(pb.ListReachRequest(), CONTEXT)

    assert grpc.StatusCode.UNAVAILABLE == aborted.value.args[0]


def test_metrics_count_streams_by_the_same_words() -> None:
    assert set(STREAM_STATES) == set(Outcome)
