"""Names read from packed resources, checked against the real messages."""

from __future__ import annotations

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from towpath_client import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET
from towpath_client.resource_types import name_of


@pytest.mark.parametrize(
    ("type_url", "message"),
    [
        (LISTENER, listener_pb2.Listener(name="größe", stat_prefix="x")),
        (CLUSTER, cluster_pb2.Cluster(name="größe", alt_stat_name="alt")),
        (ROUTES, route_pb2.RouteConfiguration(name="größe")),
        (ENDPOINTS, endpoint_pb2.ClusterLoadAssignment(cluster_name="größe")),
        (SECRET, secret_pb2.Secret(name="größe")),
    ],
)
def test_the_name_is_read_from_the_real_message(type_url: str, message: Message) -> None:
    packed = Any()
    packed.Pack(message)

    assert (packed.type_url, name_of(packed)) == (type_url, "größe")


def test_the_name_is_found_behind_fields_of_every_wire_type() -> None:
    before = b"\x10\xff\x01" + b"\x19" + bytes(8) + b"\x25" + bytes(4) + b"\x2a\x02hi"
    value = before + b"\x0a\x03old" + b"\x0a\x03new"

    assert name_of(Any(type_url=LISTENER, value=value)) == "new"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "has no name"),
        (b"\x0a\x05abc", "field 1 ends at byte 7 of 5"),
        (b"\x0a", "ends at byte 1 inside a number"),
        (b"\x0b", "wire type 3 is not allowed"),
        (b"\xff" * 11, "longer than 10 bytes"),
        (b"\x0a\x01\xff", "utf-8"),
    ],
)
def test_broken_bytes_are_refused_with_a_reason(value: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        name_of(Any(type_url=LISTENER, value=value))


def test_a_type_whose_name_is_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the place of the name in 'x/y\.Z' is not known"):
        name_of(Any(type_url="x/y.Z", value=b"\x0a\x01a"))
