"""The health line: what it says of replicas, switches, the source and certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from towpath.cli.page.control_plane import Reading
from towpath.cli.page.health import BAD, GOOD, NEUTRAL, PENDING, health
from towpath_api.v1 import inspector_pb2 as pb

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def replica(**fields: Any) -> pb.GetOverviewResponse:
    return pb.GetOverviewResponse(ready=True, mesh_name="osm", **fields)


async def chips(
    *replicas: pb.GetOverviewResponse, faults: dict[str, str] | None = None
) -> dict[str, tuple[str, str]]:
    """By name: text and meaning."""
    messages = {f"towpath-{number}": one for number, one in enumerate(replicas)}
    reading = Reading(messages, faults or {})

    class ControlPlane:
        async def overview(self) -> Reading[pb.GetOverviewResponse]:
            return reading

        def now(self) -> float:
            return NOW.timestamp()

    asking: Any = ControlPlane()
    return {chip.name: (chip.text, chip.meaning) for chip in (await health(asking)).chips}


async def test_sidecars_of_all_replicas_are_counted_together() -> None:
    one = replica(sidecars=pb.SidecarCounts(accepted=2_000, unanswered=1))
    other = replica(sidecars=pb.SidecarCounts(accepted=3, rejecting=1, pod_unknown=1))

    assert ("2,003 ok · 2 waiting · 1 rejecting", BAD) == (await chips(one, other))["Sidecars"]
    assert ("2,000 ok · 1 waiting", PENDING) == (await chips(one))["Sidecars"]
    assert ("0 ok", GOOD) == (await chips(replica()))["Sidecars"]


async def test_a_replica_that_does_not_answer_is_bad() -> None:
    assert ("1 of 2 answer", BAD) == (await chips(replica(), faults={"b": "gone"}))["Replicas"]


async def test_switches_are_on_or_off() -> None:
    line = await chips(replica(passthrough=True, egress_policies=False, mtls="strict"))

    assert (("on", PENDING), ("off", NEUTRAL), ("strict", GOOD)) == (
        line["Passthrough"],
        line["Policies"],
        line["mTLS"],
    )


async def test_a_source_that_cannot_be_read_is_stale_and_soon_bad() -> None:
    assert ("current", GOOD) == (await chips(replica()))["Source"]
    assert ("stale for 5s", PENDING) == (await chips(replica(stale_seconds=5)))["Source"]
    assert ("stale for 10m", BAD) == (await chips(replica(), replica(stale_seconds=600)))["Source"]
    assert ("being read", PENDING) == (await chips(pb.GetOverviewResponse()))["Source"]


async def test_certificates_are_good_then_soon_over_then_expired() -> None:
    line = await chips(
        replica(
            certificate_expires_at=NOW + timedelta(days=60),
            authority_expires_at=NOW + timedelta(days=3),
            leaf_expires_at=NOW - timedelta(hours=1),
        )
    )

    assert ("60d", GOOD) == line["Server certificate"]
    assert ("3d", PENDING) == line["Authority"]
    assert ("expired", BAD) == line["Sidecar certificates"]


async def test_without_certificates_nothing_is_said_of_them() -> None:
    assert {"Replicas", "Sidecars", "Passthrough", "Policies", "mTLS", "Source"} == set(
        await chips(replica())
    )


async def test_nothing_is_said_before_anybody_has_answered() -> None:
    assert {} == await chips()
