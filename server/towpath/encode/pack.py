"""A protobuf message into a Resource: deterministic bytes, hashed once; and the small messages that
every vocabulary of xDS uses.
"""

from __future__ import annotations

from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from towpath.model.snapshot import Resource


def serialized(message: Message) -> bytes:
    """Deterministic bytes: the same for messages that are equal."""
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def pack(message: Message) -> AnyMessage:
    """Wrap a message in an Any, with deterministic bytes."""
    packed = AnyMessage()
    packed.Pack(message, deterministic=True)
    return packed


def resource(name: str, message: Message) -> Resource:
    """Encode a message as the resource *name* of the message's own type."""
    packed = pack(message)
    return Resource.of(packed.type_url, name, serialized(packed))


def unpack(resource: Resource) -> AnyMessage:
    """The Any that a resource carries, for people and tools."""
    return AnyMessage.FromString(resource.packed)


def ads() -> ConfigSource:
    """«Subscribe to it on the stream that this came from.»"""
    return ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)


def seconds(value: float) -> Duration:
    """A protobuf Duration of *value* seconds, to the millisecond."""
    duration = Duration()
    duration.FromMilliseconds(round(value * 1000))
    return duration
