"""StreamRecords: what each open stream was sent, has acknowledged, and has rejected."""

from __future__ import annotations

import itertools

import pytest

from towpath.model.names import ClientKind, SidecarId
from towpath.model.types import LISTENER
from towpath.rollout.records import Response, State, StreamRecord, StreamRecords


@pytest.fixture
def records() -> StreamRecords:
    """Its clock counts seconds from 100."""
    return StreamRecords(clock=itertools.count(100.0).__next__)


def _open(records: StreamRecords, pod: str = "curl") -> StreamRecord:
    return records.open(
        peer="ipv4:127.0.0.1:5",
        node_id=f"{pod}.shop",
        sidecar=SidecarId(pod=pod, namespace="shop"),
        kind=ClientKind.ENVOY,
        variant="delta",
    )


def test_streams_are_numbered_and_listed_while_they_are_open(records: StreamRecords) -> None:
    first, second = _open(records), _open(records)
    assert list(records) == [first, second]
    assert (first.stream, second.stream) == (1, 2)
    assert first.state is State.WAITING_FOR_POD

    records.close(first)
    records.close(first)

    assert [d.stream for d in records] == [2]
    assert _open(records).stream == 3


def test_streams_may_end_while_they_are_listed(records: StreamRecords) -> None:
    for _ in range(3):
        _open(records)

    for record in records:
        records.close(record)

    assert len(records) == 0


def test_the_latest_of_each_is_kept_with_its_time_and_all_are_counted(
    records: StreamRecords,
) -> None:
    record = _open(records)
    records.sent(record, LISTENER, version="1", names=("a",))
    records.rejected(record, LISTENER, version="1", names=("a",), message="no")
    records.sent(record, LISTENER, version="2", names=("a", "b"))

    held = record.types[LISTENER]
    assert held.sent == Response("2", 103.0, ("a", "b"))
    assert held.rejected == Response("1", 102.0, ("a",), "no")
    assert held.acknowledged is None
    assert (held.responses, held.acknowledgements, held.rejections) == (2, 0, 1)


def test_an_acknowledgement_ends_a_rejection(records: StreamRecords) -> None:
    record = _open(records)
    records.rejected(record, LISTENER, version="1", names=("a",), message="no")

    records.acknowledged(record, LISTENER, version="2")

    held = record.types[LISTENER]
    assert held.rejected is None
    assert held.acknowledged == Response("2", 102.0)
    assert (held.acknowledgements, held.rejections) == (1, 1)
