"""A connection ends before its certificate does, and those that begin together do not end so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from towpath.access.expiry import LONGEST_S, seconds_left

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PEERS = [f"ipv4:10.0.0.{host}:{port}" for host in range(10) for port in range(40000, 40010)]


@given(left=st.floats(0, 1e8), peer=st.sampled_from(PEERS))
def test_it_never_lasts_longer_and_hardly_shorter(left: float, peer: str) -> None:
    ends = NOW + timedelta(seconds=left)
    exact = (ends - NOW).total_seconds()

    lasts = seconds_left(ends, peer=peer, now=NOW)

    assert exact - min(LONGEST_S, exact / 10) <= lasts <= exact


def test_connections_end_one_after_the_other_and_the_calls_of_one_together() -> None:
    ends = NOW + timedelta(hours=24)
    lasts = [seconds_left(ends, peer=peer, now=NOW) for peer in PEERS]

    assert len(PEERS) == len(set(lasts))
    assert lasts == [seconds_left(ends, peer=peer, now=NOW) for peer in PEERS]
    assert max(lasts) - min(lasts) > LONGEST_S / 2


def test_what_has_expired_has_nothing_left() -> None:
    assert 0 == seconds_left(NOW - timedelta(days=1), peer=PEERS[0], now=NOW)
