"""What two listeners of one name both let through, chain by chain: see `intersection`."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial

from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy

from towpath.encode.envoy.inspection import asks, inspect_as, inspected, port_of
from towpath.encode.envoy.limits import CONNECTION_LIMIT, REQUEST_LIMIT
from towpath.encode.envoy.names import INBOUND_MESH, INBOUND_PLAIN, OUTBOUND_MESH
from towpath.encode.envoy.tls import only_parameters_differ
from towpath.encode.pack import serialized

ASKS_NOTHING = frozenset(
    {
        "envoy.filters.http.header_mutation",
        "envoy.filters.http.router",
        # How often somebody may come in is not who may: what was limited stays so meanwhile.
        REQUEST_LIMIT,
        CONNECTION_LIMIT,
    }
)


def listener_intersection(
    previous: Listener, new: Listener, asks_nothing: frozenset[str] = ASKS_NOTHING
) -> Listener | None:
    """The previous listener with the chains that both have; closed where the new one has another.

    In the mesh a chain is named for the service it leads to, and the previous one leads there too,
    if otherwise; without one it is left out, so that its connections go on as they did. Any other
    chain would restrict what it catches, so it is there, and closed; as it may ask for the
    first bytes, they are then read where the new listener reads them. Versions and ciphers of TLS
    say nothing of who may come in: a chain that offers others stays meanwhile, so that they are
    tried on a few first.
    """
    same_service = partial(_same_service, asks_nothing=asks_nothing)
    old = {serialized(chain.filter_chain_match): chain for chain in previous.filter_chains}
    by_name = {str(chain.name): chain for chain in previous.filter_chains}
    chains = []
    for chain in new.filter_chains:
        before = old.get(serialized(chain.filter_chain_match))
        if before is not None and _leads_alike(before, chain, same_service):
            chains.append(before)
        elif before is None and (common := _of_common_addresses(by_name.get(chain.name), chain)):
            chains.append(common)
        elif before is not None or (_catches(previous, chain) and not _in_mesh(chain)):
            chains.append(FilterChain(name=chain.name, filter_chain_match=chain.filter_chain_match))
    result = deepcopy(previous)
    if not {port_of(chain) for chain in chains if asks(chain)} <= inspected(previous):
        inspect_as(result, new)
    del result.filter_chains[:]
    result.filter_chains.extend(chains)
    if previous.HasField("default_filter_chain") and not (
        new.HasField("default_filter_chain")
        and _same_way(previous.default_filter_chain, new.default_filter_chain)
    ):
        result.ClearField("default_filter_chain")
    return result if chains or result.HasField("default_filter_chain") else None


def _leads_alike(
    one: FilterChain, other: FilterChain, same_service: Callable[[FilterChain, FilterChain], bool]
) -> bool:
    """True if both lead to one service, or the same way, whatever they offer of TLS."""
    if only_parameters_differ(one, other):
        one = deepcopy(one)
        one.transport_socket.CopyFrom(other.transport_socket)
    return same_service(one, other) or _same_way(one, other)


def _of_common_addresses(before: FilterChain | None, chain: FilterChain) -> FilterChain | None:
    """The previous chain to a service of the mesh, at those of its addresses that both have.

    Those of a headless service are its pods', which come and go: the others stay reachable.
    """
    if before is None or not _same_service(before, chain, ASKS_NOTHING):
        return None
    old, new = before.filter_chain_match, chain.filter_chain_match
    ranges = {serialized(one) for one in new.prefix_ranges}
    match = deepcopy(new)
    del match.prefix_ranges[:]
    match.prefix_ranges.extend(one for one in old.prefix_ranges if serialized(one) in ranges)
    if not match.prefix_ranges or old.destination_port != new.destination_port:
        return None
    common = deepcopy(before)
    common.filter_chain_match.CopyFrom(match)
    return common


def _same_service(one: FilterChain, other: FilterChain, asks_nothing: frozenset[str]) -> bool:
    """True if both lead to one service of the mesh, and *one* asks all that *other* does, but for
    the filters of those names.
    """
    return (
        _in_mesh(one)
        and str(one.name) == other.name
        and one.transport_socket == other.transport_socket
        and _questions(other, asks_nothing) <= _questions(one, asks_nothing)
    )


def _questions(chain: FilterChain, asks_nothing: frozenset[str]) -> set[bytes]:
    """The filters, of the network or of HTTP, that may refuse what the chain has caught."""
    questions: set[bytes] = set()
    for one in chain.filters:
        http = hcm.HttpConnectionManager()
        if one.typed_config.Unpack(http):
            filters = (each for each in http.http_filters if str(each.name) not in asks_nothing)
            questions.update(map(serialized, filters))
        elif not one.typed_config.Is(TcpProxy.DESCRIPTOR) and str(one.name) not in asks_nothing:
            questions.add(serialized(one))
    return questions


def _in_mesh(chain: FilterChain) -> bool:
    return str(chain.name).startswith((OUTBOUND_MESH, INBOUND_MESH, INBOUND_PLAIN))


def _catches(previous: Listener, chain: FilterChain) -> bool:
    """True if *previous* may let through what *chain* would catch."""
    port = chain.filter_chain_match.destination_port.value
    ports = {one.filter_chain_match.destination_port.value for one in previous.filter_chains}
    default: bool = previous.HasField("default_filter_chain")
    return default or 0 in {*ports, port} or port in ports


def _same_way(one: FilterChain, other: FilterChain) -> bool:
    """True if both send what they catch to the same target, through the same checks."""
    if one == other:
        return True
    if one.transport_socket != other.transport_socket or len(one.filters) != len(other.filters):
        return False
    return all(
        mine == theirs or _target(mine) == _target(theirs) != ()
        for mine, theirs in zip(one.filters, other.filters, strict=True)
    )


def _target(one: Filter) -> tuple[bytes, ...]:
    """What decides where a filter sends a connection; empty for a filter that is not known."""
    tcp, http = TcpProxy(), hcm.HttpConnectionManager()
    config = one.typed_config
    if config.Unpack(tcp):
        return tcp.cluster.encode(), serialized(tcp.weighted_clusters)
    if config.Unpack(http):
        filters = b"".join(serialized(one) for one in http.http_filters)
        return http.rds.route_config_name.encode(), serialized(http.route_config), filters
    return ()
