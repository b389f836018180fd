"""How much one stream, one peer and all of them may ask."""

from __future__ import annotations

import pytest

from support.fake_time import Clock
from towpath.settings import StreamLimits
from towpath.xds.limits import NAMES_FOR_ONE, Admission, LimitExceeded, RequestRate

FEW = StreamLimits(max_name_length=5, max_streams=3, max_streams_per_peer=2, max_request_rate=2.0)


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
