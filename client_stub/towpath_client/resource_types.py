"""What must be known of a resource type to subscribe to it: its URL and where its name is.

A state-of-the-world response carries resources without their names; the name is inside the
message. It is read here from the bytes, so that no message type has to be imported for it.
"""

from __future__ import annotations

from google.protobuf.any_pb2 import Any

_PREFIX = "type.googleapis.com/"

LISTENER = _PREFIX + "envoy.config.listener.v3.Listener"
CLUSTER = _PREFIX + "envoy.config.cluster.v3.Cluster"
ROUTES = _PREFIX + "envoy.config.route.v3.RouteConfiguration"
ENDPOINTS = _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET = _PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"
SIDECAR_CONFIG = _PREFIX + "towpath.v1.SidecarConfig"

NAMED_BY_FIELD_1 = frozenset({LISTENER, CLUSTER, ROUTES, ENDPOINTS, SECRET, SIDECAR_CONFIG})
"""Types whose name is the string in field 1 of the message."""

FULL_STATE = frozenset({LISTENER, CLUSTER})
"""Types whose state-of-the-world response is everything there is: an absent one is deleted.

https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#deleting-resources
"""

# https://protobuf.dev/programming-guides/encoding/#structure
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def name_of(resource: Any) -> str:
    """The resource's name; ValueError if its type is unknown here or its bytes are broken."""
    if resource.type_url not in NAMED_BY_FIELD_1:
        raise ValueError(f"the place of the name in {resource.type_url!r} is not known")
    name = _string_in_field_1(resource.value)
    if not name:
        raise ValueError(f"a {resource.type_url!r} has no name")
    return name


def _string_in_field_1(message: bytes) -> str:
    """The string in field 1 of an encoded message, "" if it is not there.

    Only the top level is walked: a field is a tag (number and wire type) and a value that its wire
    type says how to skip. If a field is repeated, the last one counts, as in any protobuf parser.
    """
    text = b""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        start = at
        if wire_type == _VARINT:
            _, at = _varint(message, at)
        elif wire_type == _FIXED64:
            at += 8
        elif wire_type == _FIXED32:
            at += 4
        elif wire_type == _LENGTH:
            length, start = _varint(message, at)
            at = start + length
        else:
            raise ValueError(f"byte {start}: wire type {wire_type} is not allowed")
        if at > len(message):
            raise ValueError(f"field {number} ends at byte {at} of {len(message)}")
        if number == 1 and wire_type == _LENGTH:
            text = message[start:at]
    return text.decode()


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The variable-length integer at byte *at*, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError(f"the message ends at byte {at} inside a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"byte {at}: a number is longer than 10 bytes")
