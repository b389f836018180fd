"""What the streams of a sidecar hold in place of what they are offered."""

from __future__ import annotations

import time
from collections.abc import Iterator

from towpath.encode.shown import shown
from towpath.hub.hub import Hub
from towpath.model.snapshot import Resource, Snapshot
from towpath.pause import Pause
from towpath.rollout.records import StreamRecord
from towpath_api.v1 import inspector_pb2 as pb


async def replaced(hub: Hub, node_id: str) -> pb.ListReplacedResponse:
    """Of each stream of that node id, in the order of its streams."""
    response, pause = pb.ListReplacedResponse(), Pause(time.monotonic)
    records = [one for one in hub.records if one.node_id == node_id]
    for record in sorted(records, key=lambda one: one.stream):
        snapshot = await hub.in_turn(hub.snapshot, record.kind, record.sidecar)
        of_stream = response.streams.add(stream_id=record.stream)
        for one in _others(record, snapshot):
            of_stream.resources.add(
                type_url=one.type_url, name=one.name, version=one.version, resource=shown(one)
            )
            await pause.if_due()
    return response


def _others(record: StreamRecord, snapshot: Snapshot | None) -> Iterator[Resource]:
    """What the client has accepted and is not offered so; nothing of what only its version is
    known.
    """
    for type_url in sorted(record.types):
        holding = record.holding(type_url)
        for name in sorted(holding.versions) if holding else ():
            accepted = record.accepted(type_url, name)
            offered = snapshot.of(type_url).get(name) if snapshot is not None else None
            if accepted is None or not accepted.packed:
                continue
            if offered is None or offered.version != accepted.version:
                yield accepted
