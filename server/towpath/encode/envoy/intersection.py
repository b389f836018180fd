"""The intersection (the meet) of two resources of one name: what both let through, made of parts
of the old one. Listeners and routes have a file each.

It takes the place of a new resource that must not be sent yet, or that the client rejected. Every
part of it is a part of *before* that is in *after* as well, with the same target, or a plain part
of *after* that *before* let through within something wider; where *after* has something else,
nothing goes through. So it never lets through what *after* does not, and refers
to nothing that *after* does not refer to.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf.message import Message

from towpath.encode.envoy.listener_intersection import ASKS_NOTHING, listener_intersection
from towpath.encode.envoy.names import RBAC_FILTER
from towpath.encode.envoy.routes_intersection import routes_intersection
from towpath.encode.pack import resource, serialized, unpack
from towpath.model.snapshot import Resource
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET


def intersection(
    before: Resource, after: Resource, *, inbound_open: bool = False
) -> Resource | None:
    """What both let through; None if that is nothing at all, or cannot be said.

    With *inbound_open* the inbound routes beside *after* let in any request from anyone. Of secrets
    the one before stays: without any there would be no connection at all.
    """
    if before == after or after.type_url == SECRET:
        return before
    merge = (_BESIDE_OPEN_ROUTES if inbound_open else _BY_TYPE).get(after.type_url)
    if merge is None:
        return None
    message_type, common = merge
    old, new = message_type(), message_type()
    if not (unpack(before).Unpack(old) and unpack(after).Unpack(new)):
        return None
    message = common(old, new)
    if message is old:
        return before
    return None if message is None else resource(after.name, message)


def _cluster(previous: Cluster, new: Cluster) -> Cluster | None:
    """The previous cluster, if it leads to where the new one does."""
    return previous if _destination(previous) == _destination(new) else None


def _destination(cluster: Cluster) -> bytes:
    only = deepcopy(cluster)
    for field in (
        "alt_stat_name",
        "circuit_breakers",
        "connect_timeout",
        "transport_socket",
        "transport_socket_matches",
        "typed_extension_protocol_options",
        "wait_for_warm_on_init",
    ):
        only.ClearField(field)
    return serialized(only)


def _assignment(
    previous: ClusterLoadAssignment, new: ClusterLoadAssignment
) -> ClusterLoadAssignment:
    """The endpoints of both."""
    addresses = {
        serialized(one.endpoint.address) for group in new.endpoints for one in group.lb_endpoints
    }
    result = deepcopy(previous)
    for group in result.endpoints:
        kept = [one for one in group.lb_endpoints if serialized(one.endpoint.address) in addresses]
        del group.lb_endpoints[:]
        group.lb_endpoints.extend(kept)
    return result


_BY_TYPE: dict[str, tuple[Callable[[], Message], Callable[..., Message | None]]] = {
    CLUSTER: (Cluster, _cluster),
    ENDPOINTS: (ClusterLoadAssignment, _assignment),
    LISTENER: (Listener, listener_intersection),
    ROUTES: (RouteConfiguration, routes_intersection),
}
_BESIDE_OPEN_ROUTES = _BY_TYPE | {
    LISTENER: (Listener, partial(listener_intersection, asks_nothing=ASKS_NOTHING | {RBAC_FILTER}))
}
