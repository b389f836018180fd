"""Streams and flows of several replicas, in one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest

from towpath.cli.live import LiveReading
from towpath.cli.replicas import Replicas
from towpath.cli.server import NoAnswer, Server
from towpath.model.names import Account, Protocol
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import Tally

CURL = Account("curl", "curl")


class TwoReplicas(Replicas):
    """Two servers that nobody has to reach."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(Server("unused", None), stack)

    def _servers(self) -> tuple[dict[str, Server], dict[str, str]]:
        servers = {name: Server(f"unix:/nowhere/{name}", None) for name in ("a", "b")}
        return servers, {"c": "the pod is not ready yet"}


def _flow(host: str) -> Flow:
    return Flow(CURL, "", host, "", 443, Protocol.HTTPS, Verdict.ALLOW)


def test_flows_that_two_replicas_have_are_added_up() -> None:
    both, alone = _flow("both.example.org"), _flow("alone.example.org")
    reading = LiveReading([(both, Tally(5, 9, 2, {"192.0.2.1": 2}))], streams=1, shed=1)
    other = LiveReading(
        [(both, Tally(3, 7, 1, {"192.0.2.1": 1})), (alone, Tally(4, 4, 1))], streams=2, left_out=1
    )

    reading.add_replica(other)

    assert {
        both: Tally(3, 9, 3, {"192.0.2.1": 3}),
        alone: Tally(4, 4, 1),
    } == dict(reading.flows)
    assert (3, 1, 1) == (reading.streams, reading.shed, reading.left_out)


def test_who_follows_sees_what_each_replica_sends_and_who_is_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    streams = iter(([1, 2], [3]))

    def sends(_: grpc.Channel) -> Iterator[int]:
        yield from next(streams)
        raise grpc.RpcError("it has ended")

    arrivals: list[int] = []
    with ExitStack() as stack, pytest.raises(NoAnswer) as refusal:
        arrivals.extend(TwoReplicas(stack).follow(sends))

    assert {1, 2, 3} == {*arrivals}
    errors = capsys.readouterr().err
    assert errors.startswith("c: no answer: the pod is not ready yet\n")
    assert 2 == errors.count("no answer"), errors
    for name in ("a: it has ended", "b: it has ended", "c: the pod is not ready yet"):
        assert name in refusal.value.message
