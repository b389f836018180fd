"""Inspection: on which ports a listener reads a client's first bytes before it chooses a chain.

Where it reads them it waits for them, so it does so only on ports where a chain asks for a server
name, a transport or an application protocol. It waits without an end: one that would go on
without the bytes would let through what a policy refuses, and one that would close would cut
clients that take their time. All other connections, and servers that speak first, wait for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.listener.v3.listener_components_pb2 import (
    FilterChain,
    ListenerFilter,
    ListenerFilterChainMatchPredicate,
)
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2 import HttpInspector
from envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.type.v3.range_pb2 import Int32Range
from google.protobuf.message import Message

from towpath.encode.pack import pack

_INSPECTORS = {"tls_inspector": TlsInspector(), "http_inspector": HttpInspector()}
_PREFIX = "envoy.filters.listener."


def original_dst() -> ListenerFilter:
    """The address and port that the client dialled, before the redirect."""
    return _filter("original_dst", OriginalDst())


def inspectors(ports: Iterable[int]) -> list[ListenerFilter]:
    """Both inspectors, reading on these ports and on no other."""
    off = _on_no_other_than(sorted(ports))
    return [_filter(kind, config, disabled=off) for kind, config in _INSPECTORS.items()]


def tls_inspector(ports: Iterable[int]) -> ListenerFilter:
    """The inspector that tells TLS from all else, reading on these ports and on no other."""
    off = _on_no_other_than(sorted(ports))
    return _filter("tls_inspector", _INSPECTORS["tls_inspector"], disabled=off)


def inspect_as(listener: Listener, other: Listener) -> None:
    """Let the listener read where the other one does, and wait as long for it."""
    del listener.listener_filters[:]
    listener.listener_filters.extend(other.listener_filters)
    listener.listener_filters_timeout.CopyFrom(other.listener_filters_timeout)
    listener.continue_on_listener_filters_timeout = other.continue_on_listener_filters_timeout


def inspected(listener: Listener) -> frozenset[int]:
    """The ports where every inspector of a listener made here reads the first bytes."""
    read = [
        _ports(one.filter_disabled)
        for one in listener.listener_filters
        if str(one.name).removeprefix(_PREFIX) in _INSPECTORS
    ]
    return frozenset.intersection(*read) if read else frozenset()


def asks(chain: FilterChain) -> bool:
    """True if what the client says first decides whether the chain is chosen."""
    match = chain.filter_chain_match
    return bool(match.transport_protocol or match.server_names or match.application_protocols)


def port_of(chain: FilterChain) -> int:
    """The port of the connections that a chain is for; 0 for any."""
    return int(chain.filter_chain_match.destination_port.value)


def _filter(
    kind: str, config: Message, *, disabled: ListenerFilterChainMatchPredicate | None = None
) -> ListenerFilter:
    return ListenerFilter(
        name=f"{_PREFIX}{kind}", typed_config=pack(config), filter_disabled=disabled
    )


def _on_no_other_than(ports: list[int]) -> ListenerFilterChainMatchPredicate:
    """«The destination port is none of these»; Envoy refuses an or_match of a single rule."""
    rules = [
        ListenerFilterChainMatchPredicate(
            destination_port_range=Int32Range(start=port, end=port + 1)
        )
        for port in ports
    ]
    if not rules:
        return ListenerFilterChainMatchPredicate(any_match=True)
    if len(rules) == 1:
        return ListenerFilterChainMatchPredicate(not_match=rules[0])
    alternatives = ListenerFilterChainMatchPredicate.MatchSet(rules=rules)
    either = ListenerFilterChainMatchPredicate(or_match=alternatives)
    return ListenerFilterChainMatchPredicate(not_match=either)


def _ports(disabled: ListenerFilterChainMatchPredicate) -> frozenset[int]:
    """What `_on_no_other_than` was told."""
    read = disabled.not_match
    ranges = (rule.destination_port_range for rule in (read, *read.or_match.rules))
    return frozenset(port for interval in ranges for port in range(interval.start, interval.end))
