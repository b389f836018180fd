"""How much one stream, one peer and all of them may ask."""

from __future__ import annotations

import pytest

from support.xds_peer import Clock
from towpath.telemetry.metrics import Metrics
from towpath.xds.limits import NAMES_FOR_ONE, Admission, LimitExceeded, Limits, RequestRate

FEW = Limits(max_name_length=5, max_streams=3, max_streams_per_peer=2, max_request_rate=2.0)


def test_one_peer_has_so_many_streams_and_all_have() -> None:
    admission = Admission(FEW)
    with admission.stream("ipv4:10.0.0.1:1000"), admission.stream("ipv4:10.0.0.1:1001"):
        with (
            pytest.raises(LimitExceeded, match=r"2 streams are open from ipv4:10\.0\.0\.1"),
            admission.stream("ipv4:10.0.0.1:1002"),
        ):
            raise AssertionError("a third was let in")
        with (
            admission.stream("ipv4:10.0.0.2:1000"),
            pytest.raises(LimitExceeded, match="3 streams are open already"),
            admission.stream("ipv4:10.0.0.3:1000"),
        ):
            raise AssertionError("a fourth was let in")
    with admission.stream("ipv4:10.0.0.1:1003"):
        pass


@pytest.mark.parametrize(
    ("silent", "limits", "of_all", "of_peer"),
    [
        (False, Limits(max_streams=2, max_streams_per_peer=1), "streams", "streams-per-peer"),
        (
            True,
            Limits(max_streams=20, max_streams_per_peer=10),
            "silent-streams",
            "silent-streams-per-peer",
        ),
    ],
)
def test_each_limit_of_streams_has_a_sample_before_it_is_passed(
    *, silent: bool, limits: Limits, of_all: str, of_peer: str
) -> None:
    admission = Admission(limits, silent=silent)
    with admission.stream("ipv4:10.0.0.1:1000"):
        with pytest.raises(LimitExceeded) as one, admission.stream("ipv4:10.0.0.1:1001"):
            raise AssertionError("a second was let in")
        with (
            admission.stream("ipv4:10.0.0.2:1000"),
            pytest.raises(LimitExceeded) as every,
            admission.stream("ipv4:10.0.0.3:1000"),
        ):
            raise AssertionError("a third was let in")

    assert (of_peer, of_all) == (one.value.limit, every.value.limit)
    sample = Metrics().registry.get_sample_value
    for limit in (of_peer, of_all):
        assert 0 == sample("towpath_xds_limited_streams_total", {"limit": limit})


def test_a_stream_asks_so_often_and_more_at_once() -> None:
    clock = Clock()
    rate = RequestRate(FEW, clock)
    for _ in range(20):
        rate.take()
    with pytest.raises(LimitExceeded, match="more than 2 requests per second"):
        rate.take()
    clock.now += 1.0
    rate.take()
    rate.take()
    with pytest.raises(LimitExceeded, match="more than 2 requests per second"):
        rate.take()


def test_a_request_with_many_names_counts_as_many_requests() -> None:
    rate = RequestRate(FEW, Clock())
    rate.take(names=18 * NAMES_FOR_ONE)
    rate.take()
    with pytest.raises(LimitExceeded):
        rate.take()
