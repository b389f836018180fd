"""What sidecars report to the replicas, followed from the beginning: each new report comes once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import grpc

from towpath.admin.flows import flow_of
from towpath.observe.flow import Flow
from towpath.observe.flows import Tally
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

FIRST_S = 3.0
"""How long a page waits for what has been reported before it was opened."""

Items = tuple[tuple[Flow, Tally], ...]


@dataclass(slots=True)
class _Replica:
    """What one replica has been told of on one stream, until that ends."""

    call: grpc.Call | None = None
    flows: dict[tuple[Flow, float], tuple[Flow, Tally]] = field(default_factory=dict)
    streams: int = 0
    shed: int = 0
    left_out: int = 0
    complete: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Reported:
    """All flows that leave the mesh and all `refusals` inside it, those of one kind from all
    replicas in one; and what is missing of them.
    """

    flows: Items = ()
    refusals: Items = ()
    streams: int = 0
    shed: int = 0
    left_out: int = 0


class Reports:
    """Follows replicas, two streams of each in threads, until these end."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._streams: dict[tuple[str, bool], _Replica] = {}
        self._revision = 0
        self._merged: tuple[int, Reported] = -1, Reported()

    def follow(self, channels: Mapping[str, grpc.Channel]) -> None:
        """Follow these replicas, and forget all others: what they had is gone with them."""
        with self._lock:
            for key in [*self._streams]:
                if key[0] not in channels or self._streams[key].ended:
                    self._end(self._streams.pop(key))
            for key in product(channels, (False, True)):
                if key not in self._streams:
                    self._streams[key] = one = _Replica()
                    request = pb.WatchFlowsRequest(follow=True, inside=key[1])
                    args = one, channels[key[0]], request
                    threading.Thread(target=self._read, args=args, daemon=True).start()

    def close(self) -> None:
        """Follow nobody any more."""
        self.follow({})

    @property
    def revision(self) -> int:
        """Grows with each message of a replica."""
        return self._revision

    def read(self) -> Reported:
        """What has been reported so far; of a new replica once it has said all, or soon."""
        with self._lock:
            self._lock.wait_for(self._is_complete, FIRST_S)
            revision, merged = self._merged
            if revision != self._revision:
                merged = _together(self._streams)
                self._merged = self._revision, merged
            return merged

    def _is_complete(self) -> bool:
        return all(one.complete or one.ended for one in self._streams.values())

    def _end(self, replica: _Replica) -> None:
        self._revision += 1
        replica.ended = True
        if replica.call is not None:
            replica.call.cancel()

    def _read(
        self, replica: _Replica, channel: grpc.Channel, request: pb.WatchFlowsRequest
    ) -> None:
        try:
            call = pb_grpc.InspectorStub(channel).WatchFlows(request)
            with self._lock:
                replica.call = call
                if replica.ended:
                    call.cancel()
            for message in call:
                items = [flow_of(flow) for flow in message.flows]
                with self._lock:
                    self._add(replica, message, items)
        except (grpc.RpcError, ValueError):  # ValueError: the channel is closed
            pass
        finally:
            with self._lock:
                replica.ended = True
                self._lock.notify_all()

    def _add(
        self, replica: _Replica, message: pb.WatchFlowsResponse, items: list[tuple[Flow, Tally]]
    ) -> None:
        self._revision += 1
        for flow, tally in items:
            # The policies that a verdict is due to may be others next time: the flow is the same.
            replica.flows[replace(flow, policies=()), tally.first] = flow, tally
        replica.streams = message.streams
        replica.shed, replica.left_out = message.shed_messages, message.left_out
        if message.complete:
            replica.complete = True
            self._lock.notify_all()


def _together(streams: Mapping[tuple[str, bool], _Replica]) -> Reported:
    outside = [one for (_, inside), one in streams.items() if not inside]
    return Reported(
        _merged(outside),
        _merged(one for (_, inside), one in streams.items() if inside),
        sum(one.streams for one in outside),
        sum(one.shed for one in outside),
        sum(one.left_out for one in streams.values()),
    )


def _merged(replicas: Iterable[_Replica]) -> Items:
    tallies: dict[Flow, Tally] = {}
    for replica in replicas:
        for flow, tally in replica.flows.values():
            if flow in tallies:
                tallies[flow].merge(tally)
            else:
                tallies[flow] = replace(tally, addresses=dict(tally.addresses))
    return tuple(tallies.items())
