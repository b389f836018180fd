"""xDS messages to and from bytes.

Responses are composed from pre-encoded fields, so nothing is serialized for one stream alone: a
body is shared by every stream that is sent the same resources, and the nonce, field 5 of both
responses, is appended behind it. Protobuf parsers take fields in any order.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping

from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DiscoveryRequest,
    ResourceError,
)
from google.protobuf.message import DecodeError

from towpath.model.snapshot import Resource
from towpath.xds.absence import Fault
from towpath.xds.messages import DeltaRequest, Node, ProtocolError, SotwRequest

# Field numbers, with wire type 2 (length-delimited), of the messages in
# https://github.com/envoyproxy/envoy/blob/main/api/envoy/service/discovery/v3/discovery.proto
_VERSION, _RESOURCES, _TYPE_URL, _NONCE = 1, 2, 4, 5
_SOTW_CONTROL_PLANE, _SOTW_ERRORS = 6, 7
_DELTA_REMOVED, _DELTA_CONTROL_PLANE, _DELTA_ERRORS = 6, 7, 9
_RESOURCE_VERSION, _RESOURCE_ANY, _RESOURCE_NAME = 1, 2, 3

LARGEST_NODE = 16 << 10
"""In bytes; of a client that says more of itself, only its names are kept."""


def parse_sotw(data: bytes) -> SotwRequest:
    """Raises ProtocolError for bytes that are no DiscoveryRequest."""
    message = DiscoveryRequest()
    _parse(message, data)
    return SotwRequest(
        type_url=message.type_url,
        node=_node(message),
        version=message.version_info,
        nonce=message.response_nonce,
        names=frozenset(message.resource_names),
        error=message.error_detail.message if message.HasField("error_detail") else None,
    )


def parse_delta(data: bytes) -> DeltaRequest:
    """Raises ProtocolError for bytes that are no DeltaDiscoveryRequest."""
    message = DeltaDiscoveryRequest()
    _parse(message, data)
    return DeltaRequest(
        type_url=message.type_url,
        node=_node(message),
        nonce=message.response_nonce,
        subscribe=tuple(message.resource_names_subscribe),
        unsubscribe=tuple(message.resource_names_unsubscribe),
        initial_versions=dict(message.initial_resource_versions),
        error=message.error_detail.message if message.HasField("error_detail") else None,
    )


class Composer:
    """Makes response bodies, and keeps the latest ones to share between streams."""

    def __init__(self, *, identifier: str, kept: int = 256) -> None:
        self._plane = base_pb2.ControlPlane(identifier=identifier).SerializeToString()
        self._kept = kept
        self._bodies: OrderedDict[Hashable, bytes] = OrderedDict()
        self._whole: OrderedDict[tuple[str, str], Mapping[str, Resource]] = OrderedDict()

    def sotw(
        self,
        type_url: str,
        version: str,
        resources: Mapping[str, Resource],
        *,
        whole: bool,
        faults: tuple[Fault, ...] = (),
    ) -> bytes:
        """The body of a DiscoveryResponse, without its nonce; *whole* if the version stands for
        just these resources: then `recall` may be asked for them.
        """
        if whole and (type_url, version) not in self._whole:
            self._whole[type_url, version] = resources
            if len(self._whole) > self._kept:
                self._whole.popitem(last=False)

        def compose() -> Iterable[bytes]:
            yield _text(_VERSION, version)
            for resource in resources.values():
                yield _field(_RESOURCES, resource.packed)
            yield _text(_TYPE_URL, type_url)
            yield _field(_SOTW_CONTROL_PLANE, self._plane)
            for fault in faults:
                yield _field(_SOTW_ERRORS, _resource_error(fault))

        content = None if whole else tuple(resources.values())
        return self._shared(("sotw", type_url, version, content, faults), compose)

    def recall(self, type_url: str, version: str) -> Mapping[str, Resource] | None:
        """What a full-state version stood for, if it was composed not long ago."""
        return self._whole.get((type_url, version))

    def delta(
        self,
        type_url: str,
        version: str,
        resources: tuple[Resource, ...],
        *,
        removed: tuple[str, ...],
        faults: tuple[Fault, ...] = (),
    ) -> bytes:
        """The body of a DeltaDiscoveryResponse, without its nonce."""

        def compose() -> Iterable[bytes]:
            yield _text(_VERSION, version)
            for resource in resources:
                yield _field(_RESOURCES, _delta_resource(resource))
            yield _text(_TYPE_URL, type_url)
            for name in removed:
                yield _text(_DELTA_REMOVED, name)
            yield _field(_DELTA_CONTROL_PLANE, self._plane)
            for fault in faults:
                yield _field(_DELTA_ERRORS, _resource_error(fault))

        return self._shared(("delta", type_url, version, resources, removed, faults), compose)

    def _shared(self, key: Hashable, compose: Callable[[], Iterable[bytes]]) -> bytes:
        body = self._bodies.get(key)
        if body is None:
            body = self._bodies[key] = b"".join(compose())
            if len(self._bodies) > self._kept:
                self._bodies.popitem(last=False)
        else:
            self._bodies.move_to_end(key)
        return body


def nonce_field(nonce: str) -> bytes:
    """What is appended to a body for one stream."""
    return _text(_NONCE, nonce)


def _parse(message: DiscoveryRequest | DeltaDiscoveryRequest, data: bytes) -> None:
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        name = message.DESCRIPTOR.name
        raise ProtocolError(f"not a {name}: {len(data)} bytes cannot be parsed") from error


def _node(message: DiscoveryRequest | DeltaDiscoveryRequest) -> Node | None:
    if not message.HasField("node"):
        return None
    node = message.node
    build = node.user_agent_build_version.version
    version = f"{build.major_number}.{build.minor_number}.{build.patch}"
    return Node(
        id=node.id,
        user_agent=node.user_agent_name,
        version=node.user_agent_version if version == "0.0.0" else version,
        said=_said(node),
    )


def _said(node: base_pb2.Node) -> bytes:
    """What is worth keeping of a node for people: Envoy also lists its hundreds of extensions."""
    kept = base_pb2.Node(
        id=node.id,
        cluster=node.cluster,
        metadata=node.metadata if node.HasField("metadata") else None,
        locality=node.locality if node.HasField("locality") else None,
        user_agent_name=node.user_agent_name,
    )
    if node.HasField("user_agent_build_version"):
        kept.user_agent_build_version.version.CopyFrom(node.user_agent_build_version.version)
    elif node.user_agent_version:
        kept.user_agent_version = node.user_agent_version
    if kept.ByteSize() > LARGEST_NODE:
        kept = base_pb2.Node(id=node.id, user_agent_name=node.user_agent_name)
    return bytes(kept.SerializeToString(deterministic=True))


def _resource_error(fault: Fault) -> bytes:
    error = ResourceError(resource_name={"name": fault.name})
    error.error_detail.code, error.error_detail.message = fault.code, fault.message
    return bytes(error.SerializeToString(deterministic=True))


def _delta_resource(resource: Resource) -> bytes:
    return (
        _text(_RESOURCE_VERSION, resource.version)
        + _field(_RESOURCE_ANY, resource.packed)
        + _text(_RESOURCE_NAME, resource.name)
    )


def _text(number: int, value: str) -> bytes:
    return _field(number, value.encode())


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
