"""The Client Status Discovery Service: the server's view of every client, in the standard form.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/status/v3/csds.proto
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
from envoy.admin.v3.config_dump_shared_pb2 import UpdateFailureState
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc

from towpath.access.caller import Context
from towpath.admin.node_matcher import node_matcher
from towpath.admin.times import timestamp
from towpath.encode.shown import shown
from towpath.hub.hub import Hub
from towpath.model.snapshot import Resource, ResourceSet, Snapshot
from towpath.rollout.records import Delivery, Holding, Response, StreamRecord

GenericXdsConfig = csds_pb2.ClientConfig.GenericXdsConfig

LARGEST_ANSWER = 256 << 20
"""In bytes: an answer is built in memory, whole."""

AT_ONCE = 200
"""After so many resources others may run: an answer must not hold up the pushes to anybody."""

FOR_LESS = (
    "ask for fewer clients (node_matchers), or leave the contents out (exclude_resource_contents)"
)


class ClientStatus(csds_pb2_grpc.ClientStatusDiscoveryServiceServicer):  # type: ignore[misc]
    """Answers from the hub: one ClientConfig for each stream, sorted by node id; nothing here
    changes anything.
    """

    # gRPC passes the request and the context by position; the names are the protocol's.
    # ruff: noqa: N802

    def __init__(self, hub: Hub, *, largest: int = LARGEST_ANSWER) -> None:
        self._hub = hub
        self._largest = largest

    async def FetchClientStatus(
        self, request: csds_pb2.ClientStatusRequest, context: Context
    ) -> csds_pb2.ClientStatusResponse:
        return await self._answer(request, context)

    async def StreamClientStatus(
        self, requests: AsyncIterator[csds_pb2.ClientStatusRequest], context: Context
    ) -> AsyncIterator[csds_pb2.ClientStatusResponse]:
        """One answer for each request; this is no watch."""
        async for request in requests:
            yield await self._answer(request, context)

    async def _answer(
        self, request: csds_pb2.ClientStatusRequest, context: Context
    ) -> csds_pb2.ClientStatusResponse:
        try:
            matches = node_matcher(request.node_matchers)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        answer, size = csds_pb2.ClientStatusResponse(), 0
        for record in sorted(self._hub.records, key=lambda d: (d.node_id, d.stream)):
            node = Node.FromString(record.node)
            if matches(node):
                config = answer.config.add(node=node)
                snapshot = await self._hub.in_turn(self._hub.snapshot, record.kind, record.sidecar)
                contents = not request.exclude_resource_contents
                configs = _configs(snapshot, record, contents=contents)
                for count, generic in enumerate(configs, start=1):
                    config.generic_xds_configs.append(generic)
                    if count % AT_ONCE == 0:
                        await asyncio.sleep(0)
                size += config.ByteSize()
                if size > self._largest:
                    text = f"the answer is larger than {self._largest} bytes: {FOR_LESS}"
                    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
            await asyncio.sleep(0)
        return answer


def _configs(snapshot: Snapshot | None, record: StreamRecord, *, contents: bool) -> Iterator[Any]:
    for type_url, delivery in sorted(record.types.items()):
        holding = record.holding(type_url)
        if snapshot is not None and holding is not None:
            yield from _of_type(snapshot.of(type_url), delivery, holding, contents=contents)


def _of_type(
    current: ResourceSet, delivery: Delivery, holding: Holding, *, contents: bool
) -> Iterator[Any]:
    """What becomes of each resource that the client asked for or holds, by name."""
    names = {*holding.names, *holding.versions, *(current if holding.wildcard else ())}
    just_sent = frozenset(delivery.sent.names if delivery.sent else ())
    blamed = frozenset(delivery.rejected.names or just_sent) if delivery.rejected else frozenset()
    for name in sorted(names):
        resource, version = current.get(name), holding.versions.get(name, "")
        status = _status(name, resource, holding, blamed=name in blamed)
        if resource is not None and status in (csds_pb2.ERROR, csds_pb2.NOT_SENT):
            version = resource.version
        config = GenericXdsConfig(
            type_url=current.type_url, name=name, version_info=version, config_status=status
        )
        if contents and resource is not None:
            config.xds_config.CopyFrom(shown(resource))
        if delivery.sent is not None and name in just_sent:
            config.last_updated.CopyFrom(timestamp(delivery.sent.at))
        if delivery.rejected is not None and name in blamed:
            config.error_state.CopyFrom(_error(delivery.rejected))
        yield config


def _status(name: str, resource: Resource | None, holding: Holding, *, blamed: bool) -> int:
    """Of what the client is to hold; of what it was sent, if it is to hold nothing of that name."""
    if blamed and name not in holding.pending:
        return int(csds_pb2.ERROR)
    version = holding.versions.get(name)
    if version is None or (resource is not None and resource.version != version):
        return int(csds_pb2.NOT_SENT)
    return int(csds_pb2.STALE if name in holding.pending else csds_pb2.SYNCED)


def _error(rejected: Response) -> Any:
    return UpdateFailureState(
        last_update_attempt=timestamp(rejected.at),
        details=rejected.message,
        version_info=rejected.version,
    )
