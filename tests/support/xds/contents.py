"""Valid resources made of a name, a revision and what they refer to.

The revision is in a field that changes nothing else; a message that has only a name is completed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource
from envoy.config.endpoint.v3.endpoint_components_pb2 import LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from support.xds.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET

MESSAGES: Mapping[str, type[Message]] = {
    CLUSTER: Cluster,
    ENDPOINTS: ClusterLoadAssignment,
    LISTENER: Listener,
    ROUTES: RouteConfiguration,
    SECRET: Secret,
}
_ADS = ConfigSource(resource_api_version=ApiVersion.V3, ads=AggregatedConfigSource())


@dataclass(frozen=True, slots=True)
class Item:
    """A resource's content; *to* is the cluster that routes lead to, or a listener's routes."""

    revision: int = 1
    to: str = ""


State = Mapping[str, Mapping[str, Item]]
"""By type URL and name."""


Contents = Mapping[str, str | Mapping[str, Item]]
"""A state in which `"A B"` stands for two resources of revision 1, named so."""


def state(contents: Contents) -> State:
    """The state that *contents* stand for."""
    return {
        type_url: {name: Item() for name in resources.split()}
        if isinstance(resources, str)
        else resources
        for type_url, resources in contents.items()
    }


def messages(contents: State) -> list[Message]:
    return [
        message(type_url, name, item)
        for type_url, resources in contents.items()
        for name, item in resources.items()
    ]


def name_of(resource: Message) -> str:
    """A resource's name; it is the first field of every type, but not called so in all."""
    message: Any = resource
    return str(
        message.cluster_name if isinstance(resource, ClusterLoadAssignment) else message.name
    )


def type_of(resource: Message) -> str:
    return f"type.googleapis.com/{resource.DESCRIPTOR.full_name}"


def named(type_url: str, name: str) -> Message:
    """A resource with nothing but a name."""
    field = "cluster_name" if type_url == ENDPOINTS else "name"
    return MESSAGES[type_url](**{field: name})


def completed(resource: Message) -> Message:
    """The resource itself, or what it stands for if it has but a name."""
    type_url, name = type_of(resource), name_of(resource)
    return message(type_url, name, Item()) if resource == named(type_url, name) else resource


def unpacked(packed: AnyMessage) -> Message:
    """The message in an Any of one of the types above; KeyError for another type."""
    content = MESSAGES[packed.type_url]()
    content.ParseFromString(packed.value)
    return content


def message(type_url: str, name: str, item: Item) -> Message:
    """A whole, valid resource."""
    result: Any = named(type_url, name)
    match type_url:
        case str() if type_url == CLUSTER:
            result.type = Cluster.EDS
            result.eds_cluster_config.eds_config.CopyFrom(_ADS)
            result.connect_timeout.CopyFrom(Duration(seconds=1))
        case str() if type_url == ENDPOINTS:
            result.endpoints.append(_locality("127.0.0.1", 8080))
        case str() if type_url == LISTENER:
            result.address.CopyFrom(_address("127.0.0.1", 0))
            result.filter_chains.add().filters.add(name="http").typed_config.Pack(_manager(item.to))
        case str() if type_url == ROUTES:
            host = result.virtual_hosts.add(name="all", domains=["*"])
            route = host.routes.add(match={"prefix": "/"})
            if item.to:
                route.route.cluster = item.to
            else:
                route.direct_response.status = 200
        case _:
            result.generic_secret.secret.inline_string = "secret"
    revise(result, item.revision)
    return result  # type: ignore[no-any-return]  # the generated code has no types


def revise(resource: Message, revision: int) -> None:
    """Change the content of a resource to that of its *revision*."""
    content: Any = resource
    match resource:
        case Cluster():
            content.dns_refresh_rate.seconds = revision
        case ClusterLoadAssignment():
            content.policy.endpoint_stale_after.seconds = revision
        case Listener():
            content.tcp_backlog_size.value = revision
        case RouteConfiguration():
            content.internal_only_headers[:] = [f"x-revision-{revision}"]
        case _:
            content.generic_secret.secret.inline_string = f"secret-{revision}"


def _manager(routes: str) -> hcm.HttpConnectionManager:
    manager = hcm.HttpConnectionManager(stat_prefix="all")
    if routes:
        manager.rds.route_config_name = routes
        manager.rds.config_source.CopyFrom(_ADS)
    else:
        manager.route_config.name = "inline"
    manager.http_filters.add(name="router").typed_config.Pack(Router())
    return manager


def _address(host: str, port: int) -> Address:
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def _locality(host: str, port: int) -> LocalityLbEndpoints:
    locality = LocalityLbEndpoints(load_balancing_weight={"value": 1}, locality={"zone": "a"})
    locality.lb_endpoints.add().endpoint.address.CopyFrom(_address(host, port))
    return locality
