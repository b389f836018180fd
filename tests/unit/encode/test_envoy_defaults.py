"""docs/envoy-defaults.md lists every default that sidecars are sent, and what it says is set is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.protocol_pb2 import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
)
from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, RouteAction, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (  # noqa: E501 - one name
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from google.protobuf import descriptor_pool
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from towpath.encode import envoy
from towpath.encode.pack import unpack
from towpath.model.names import Protocol
from towpath.model.plan import Destination, Destinations, Inbound, InboundPort, Outbound
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule

PAGE = (Path(__file__).parents[3] / "docs/envoy-defaults.md").read_text()
MESSAGES: tuple[type[Message], ...] = (
    Listener,
    FilterChain,
    TlsInspector,
    TcpProxy,
    HttpConnectionManager,
    HttpProtocolOptions,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    Router,
    RouteConfiguration,
    VirtualHost,
    Route,
    RouteAction,
    Cluster,
)
ALWAYS: tuple[type[Message], ...] = (Listener, TcpProxy, HttpConnectionManager, RouteAction)
RULES = (
    Rule("p/a", 80, Protocol.HTTP, ("a.test", "*.b.test"), None, None, None),
    Rule("p/b", 443, Protocol.HTTPS, ("a.test",), None, None, None),
    Rule("p/c", 9000, Protocol.TCP, None, ("192.0.2.0/24",), None, None),
)


def sent() -> Iterator[Message]:
    """Every message, those inside others too, of a sidecar that has something of everything."""
    services = Destinations(
        Destination("shop", "web", port, protocol, ("10.96.0.1",), direct=False)
        for port, protocol in ((80, Protocol.HTTP), (81, Protocol.TCP))
    )
    let_in = Inbound(
        tuple(
            InboundPort(port, protocol, ("shop/web",))
            for port, protocol in ((8080, Protocol.HTTP), (8081, Protocol.TCP))
        )
    )
    let_out = Outbound(services, passthrough=True, egress=egress_plan(RULES, passthrough=True))
    layers = (
        envoy.outbound_listener(let_out),
        envoy.inbound_listener(let_in),
        envoy.outbound_clusters(services),
        envoy.egress_clusters(let_out.egress),
        envoy.inbound_clusters(let_in),
        envoy.outbound_routes(services),
        envoy.egress_routes(let_out.egress),
        envoy.inbound_routes(let_in),
    )
    for layer in layers:
        for resource in layer.values():
            yield from _inside(unpack(resource))


def _inside(message: Any) -> Iterator[Message]:
    if isinstance(message, AnyMessage):
        name = message.type_url.rpartition("/")[2]
        inner = descriptor_pool.Default().FindMessageTypeByName(name)
        message = _parsed(inner, message.value)
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = [value[key] for key in value] if _maps_to_messages(field) else []
        else:
            values = list(value) if field.is_repeated else [value]
        for one in values:
            yield from _inside(one)


def _maps_to_messages(field: Any) -> bool:
    return field.message_type.fields_by_name["value"].message_type is not None


def _parsed(descriptor: Any, data: bytes) -> Any:
    return GetMessageClass(descriptor).FromString(data)


def section(name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None, f"no section ## {name}"
    return found[1]


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.DESCRIPTOR.name)
def test_every_default_is_listed(kind: type[Message]) -> None:
    name = kind.DESCRIPTOR.name
    listed = set(re.findall(r"`([a-z0-9_]+)`", section(name)))
    instances = [one for one in sent() if one.DESCRIPTOR.full_name == kind.DESCRIPTOR.full_name]
    fields = {f.name for f in kind.DESCRIPTOR.fields if not f.GetOptions().deprecated}
    always = set(fields)
    for one in instances:
        always &= {field.name for field, _ in one.ListFields()}

    assert instances
    assert fields - always - listed - CHOICES.get(name, set()) == set(), "fields left unset"


@pytest.mark.parametrize("kind", ALWAYS, ids=lambda kind: kind.DESCRIPTOR.name)
def test_what_is_said_to_be_set_is_set(kind: type[Message]) -> None:
    name = kind.DESCRIPTOR.name
    rows = re.findall(r"^\| `(\w+)` \| [^|]*\| set\b", section(name), re.MULTILINE)
    instances = [one for one in sent() if one.DESCRIPTOR.full_name == kind.DESCRIPTOR.full_name]

    assert rows
    assert instances
    for one in instances:
        assert [row for row in rows if not _is_set(one, row)] == []


def _is_set(message: Any, field: str) -> bool:
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    if descriptor.is_repeated or not descriptor.has_presence:
        return bool(getattr(message, field))
    return bool(message.HasField(field))


def test_nothing_silent_is_cut() -> None:
    """Durations of zero are no limit."""
    limits = {
        HttpConnectionManager: "stream_idle_timeout",
        TcpProxy: "idle_timeout",
        RouteAction: "timeout",
    }
    for kind, field in limits.items():
        for one in sent():
            if one.DESCRIPTOR.full_name == kind.DESCRIPTOR.full_name and (
                kind is not RouteAction or one.HasField("cluster")
            ):
                assert one.HasField(field)
                assert getattr(one, field).ToMilliseconds() == 0


CHOICES: dict[str, set[str]] = {
    "Listener": set(),
    "FilterChain": {"name", "filters", "filter_chain_match"},
    "HttpConnectionManager": {"rds"},
    "Route": {"match", "route"},
    "RouteConfiguration": {"virtual_hosts"},
    "VirtualHost": {"routes"},
    "Cluster": {"name"},
    "TcpProxy": {"cluster"},
    "RouteAction": {"cluster"},
}
"""What is not a default but the matter itself, and may be there or not."""
