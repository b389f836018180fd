"""xDS responses as bytes.

Responses are composed from pre-encoded fields, so nothing is serialized for one stream alone: a
body is shared by every stream that is sent the same resources, and the nonce, field 5 of both
responses, is appended behind it. Protobuf parsers take fields in any order.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import lru_cache

from envoy.config.core.v3 import base_pb2

from towpath.model.snapshot import Resource
from towpath.model.types import SECRET
from towpath.wire_format import field, number_field, text_field
from towpath.xds.absence import Fault

# Field numbers, with wire type 2 (length-delimited), of the messages in
# https://github.com/envoyproxy/envoy/blob/main/api/envoy/service/discovery/v3/discovery.proto
_VERSION, _RESOURCES, _TYPE_URL, _NONCE = 1, 2, 4, 5
_SOTW_CONTROL_PLANE, _SOTW_ERRORS = 6, 7
_DELTA_REMOVED, _DELTA_CONTROL_PLANE, _DELTA_ERRORS = 6, 7, 9
_RESOURCE_VERSION, _RESOURCE_ANY, _RESOURCE_NAME = 1, 2, 3
_ERROR_NAME, _ERROR_DETAIL = 1, 2
_ERROR_NAME_NAME = 1  # of envoy.service.discovery.v3.ResourceName
_STATUS_CODE, _STATUS_MESSAGE = 1, 2  # of google.rpc.Status

Message = tuple[bytes, bytes]
"""A response: the body, and the nonce's field behind it. Whatever carries it puts the two together,
without a copy of the body if it can.
"""

UNSHARED = frozenset({SECRET})
"""Types whose resources hold private keys."""

SMALL_RESOURCE = 2 << 10
MOST_SMALL = 20_000
"""Of resources of so many bytes at most, the encoded fields of so many are remembered."""


class Composer:
    """Makes response bodies, and keeps the latest ones to share between streams: *kept* of them,
    of *kept_bytes* together. Bodies with private keys are not kept: few streams share them, and
    those of keys that were renewed are of no use. (Steps that streams share hold theirs as long as
    a stream is to hold these keys: see `Latest`.)
    """

    def __init__(self, *, identifier: str, kept: int = 256, kept_bytes: int = 64 << 20) -> None:
        self._kept_bytes = kept_bytes
        self._bytes = 0
        plane = base_pb2.ControlPlane(identifier=identifier).SerializeToString()
        self._sotw_plane = field(_SOTW_CONTROL_PLANE, plane)
        self._delta_plane = field(_DELTA_CONTROL_PLANE, plane)
        self._kept = kept
        self._bodies: OrderedDict[Hashable, bytes] = OrderedDict()
        self._whole: OrderedDict[tuple[str, str], Mapping[str, Resource]] = OrderedDict()
        # Made once for the responses of all streams, which differ in a few resources only.
        self._small = lru_cache(maxsize=MOST_SMALL)(_encoded)

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
            yield text_field(_VERSION, version)
            for resource in resources.values():
                yield field(_RESOURCES, resource.packed)
            yield text_field(_TYPE_URL, type_url)
            yield self._sotw_plane
            for fault in faults:
                yield field(_SOTW_ERRORS, _resource_error(fault))

        content = () if whole else resources.values()  # the version says the rest
        return self._shared(compose, type_url, version, content, "sotw", whole, faults)

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
        shared = type_url not in UNSHARED

        def compose() -> Iterable[bytes]:
            yield text_field(_VERSION, version)
            for resource in resources:
                packed = resource.packed
                encode = self._small if shared and len(packed) <= SMALL_RESOURCE else _encoded
                yield encode(resource.name, resource.version, packed)
            yield text_field(_TYPE_URL, type_url)
            for name in removed:
                yield text_field(_DELTA_REMOVED, name)
            yield self._delta_plane
            for fault in faults:
                yield field(_DELTA_ERRORS, _resource_error(fault))

        return self._shared(compose, type_url, version, resources, "delta", removed, faults)

    def _shared(
        self,
        compose: Callable[[], Iterable[bytes]],
        type_url: str,
        version: str,
        resources: Iterable[Resource],
        *others: Hashable,
    ) -> bytes:
        """What *compose* gives: the same object as before for what says the same, of which the
        version, the resources' names and versions, and all *others* are equal.
        """
        if type_url in UNSHARED:
            return b"".join(compose())
        content = tuple([(resource.name, resource.version) for resource in resources])
        key = type_url, version, content, *others
        body = self._bodies.get(key)
        if body is None:
            body = self._bodies[key] = b"".join(compose())
            self._bytes += len(body)
            while len(self._bodies) > self._kept or self._bytes > self._kept_bytes:
                _, oldest = self._bodies.popitem(last=False)
                self._bytes -= len(oldest)
        else:
            self._bodies.move_to_end(key)
        return body


def nonce_field(nonce: str) -> bytes:
    """What is appended to a body for one stream."""
    return text_field(_NONCE, nonce)


def _resource_error(fault: Fault) -> bytes:
    name = text_field(_ERROR_NAME_NAME, fault.name)
    status = number_field(_STATUS_CODE, fault.code) + text_field(_STATUS_MESSAGE, fault.message)
    return field(_ERROR_NAME, name) + field(_ERROR_DETAIL, status)


def _encoded(name: str, version: str, packed: bytes) -> bytes:
    return field(
        _RESOURCES,
        text_field(_RESOURCE_VERSION, version)
        + field(_RESOURCE_ANY, packed)
        + text_field(_RESOURCE_NAME, name),
    )
