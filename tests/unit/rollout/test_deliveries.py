"""Deliveries: what each open stream was sent, has acknowledged, and has rejected."""

from __future__ import annotations

import itertools

import pytest

from towpath.model.names import ClientKind, SidecarId
from towpath.model.types import LISTENER
from towpath.rollout.deliveries import Deliveries, Delivery, Response, State


@pytest.fixture
def deliveries() -> Deliveries:
    """Its clock counts seconds from 100."""
    return Deliveries(clock=itertools.count(100.0).__next__)


def _open(deliveries: Deliveries, pod: str = "curl") -> Delivery:
    return deliveries.open(
        peer="ipv4:127.0.0.1:5",
        node_id=f"{pod}.shop",
        sidecar=SidecarId(pod=pod, namespace="shop"),
        kind=ClientKind.ENVOY,
        variant="delta",
    )


def test_streams_are_numbered_and_listed_while_they_are_open(deliveries: Deliveries) -> None:
    first, second = _open(deliveries), _open(deliveries)
    assert list(deliveries) == [first, second]
    assert (first.stream, second.stream) == (1, 2)
    assert first.state is State.WAITING_FOR_POD

    deliveries.close(first)
    deliveries.close(first)

    assert [d.stream for d in deliveries] == [2]
    assert _open(deliveries).stream == 3


def test_streams_may_end_while_they_are_listed(deliveries: Deliveries) -> None:
    for _ in range(3):
        _open(deliveries)

    for delivery in deliveries:
        deliveries.close(delivery)

    assert len(deliveries) == 0


def test_the_latest_of_each_is_kept_with_its_time_and_all_are_counted(
    deliveries: Deliveries,
) -> None:
    delivery = _open(deliveries)
    deliveries.sent(delivery, LISTENER, version="1", names=("a",))
    deliveries.rejected(delivery, LISTENER, version="1", names=("a",), message="no")
    deliveries.sent(delivery, LISTENER, version="2", names=("a", "b"))

    held = delivery.types[LISTENER]
    assert held.sent == Response("2", 103.0, ("a", "b"))
    assert held.rejected == Response("1", 102.0, ("a",), "no")
    assert held.acknowledged is None
    assert (held.responses, held.acknowledgements, held.rejections) == (2, 0, 1)


def test_an_acknowledgement_ends_a_rejection(deliveries: Deliveries) -> None:
    delivery = _open(deliveries)
    deliveries.rejected(delivery, LISTENER, version="1", names=("a",), message="no")

    deliveries.acknowledged(delivery, LISTENER, version="2")

    held = delivery.types[LISTENER]
    assert held.rejected is None
    assert held.acknowledged == Response("2", 102.0)
    assert (held.acknowledgements, held.rejections) == (1, 1)
