"""The intersection (the meet) of two resources of one name: what both let through, made of parts
of the old one.

It takes the place of a new resource that must not be sent yet, or that the client rejected. Every
part of it is a part of *before* that is in *after* as well, with the same target, or a plain part
of *after* that *before* let through within something wider; where *after* has something else,
nothing goes through. So it never lets through what *after* does not, and refers
to nothing that *after* does not refer to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import partial

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
)
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from google.protobuf.message import Message

from towpath.encode.envoy.inspection import asks, inspect_as, inspected, port_of
from towpath.encode.envoy.limits import CONNECTION_LIMIT, REQUEST_LIMIT
from towpath.encode.envoy.names import (
    INBOUND_MESH,
    INBOUND_PLAIN,
    OUTBOUND_MESH,
    OUTBOUND_ROUTES,
    RBAC_FILTER,
)
from towpath.encode.envoy.rbac import common
from towpath.encode.envoy.tls import only_parameters_differ
from towpath.encode.pack import resource, unpack
from towpath.model.snapshot import Resource
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET

_ASKS_NOTHING = frozenset(
    {
        "envoy.filters.http.header_mutation",
        "envoy.filters.http.router",
        # How often somebody may come in is not who may: what was limited stays so meanwhile.
        REQUEST_LIMIT,
        CONNECTION_LIMIT,
    }
)


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


def _listener(
    previous: Listener, new: Listener, asks_nothing: frozenset[str] = _ASKS_NOTHING
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
    old = {_key(chain.filter_chain_match): chain for chain in previous.filter_chains}
    by_name = {str(chain.name): chain for chain in previous.filter_chains}
    chains = []
    for chain in new.filter_chains:
        before = old.get(_key(chain.filter_chain_match))
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
    if before is None or not _same_service(before, chain, _ASKS_NOTHING):
        return None
    old, new = before.filter_chain_match, chain.filter_chain_match
    ranges = {_key(one) for one in new.prefix_ranges}
    match = deepcopy(new)
    del match.prefix_ranges[:]
    match.prefix_ranges.extend(one for one in old.prefix_ranges if _key(one) in ranges)
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
            questions.update(map(_key, filters))
        elif not one.typed_config.Is(TcpProxy.DESCRIPTOR) and str(one.name) not in asks_nothing:
            questions.add(_key(one))
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
        return tcp.cluster.encode(), _key(tcp.weighted_clusters)
    if config.Unpack(http):
        filters = b"".join(_key(one) for one in http.http_filters)
        return http.rds.route_config_name.encode(), _key(http.route_config), filters
    return ()


def _routes(previous: RouteConfiguration, new: RouteConfiguration) -> RouteConfiguration:
    """The virtual hosts of both, each with the routes of both.

    Where requests go inside the mesh is not who may make them, which the servers' sidecars decide:
    as with chains, the previous routes of a service stay, unless the new ones refuse something.

    A domain that the new one gives to two of them, for which Envoy rejects it, is the first's.
    """
    if new.name.startswith(OUTBOUND_ROUTES) and new.virtual_hosts and not _refuses(new):
        return previous
    old = {host.name: host for host in previous.virtual_hosts}
    wide = any(domain.startswith("*") for host in previous.virtual_hosts for domain in host.domains)
    result = deepcopy(previous)
    del result.virtual_hosts[:]
    for host in _each_domain_once(new.virtual_hosts):
        before = old.get(host.name)
        if before == host:
            result.virtual_hosts.append(before)
        elif before is not None and before.domains == host.domains:
            kept = deepcopy(before)
            del kept.routes[:]
            if _keep_common_access(kept, host):
                kept.routes.extend(_common(before.routes, host.routes))
            result.virtual_hosts.append(kept)
        elif before is not None or wide:
            result.virtual_hosts.append(VirtualHost(name=host.name, domains=host.domains))
    return result


def _refuses(routes: RouteConfiguration) -> bool:
    return any(
        one.HasField("direct_response") for host in routes.virtual_hosts for one in host.routes
    )


def _keep_common_access(host: VirtualHost, new: VirtualHost) -> bool:
    """Leave of what the virtual host says to filters only what both allow; False if that cannot be
    said. Of a virtual host that says nothing, RBAC allows nothing. Its limits stay as they are.
    """
    configs, wanted = host.typed_per_filter_config, new.typed_per_filter_config
    for name in set(configs) | set(wanted):
        same = name in configs and name in wanted and configs[name] == wanted[name]
        if same or name == REQUEST_LIMIT:
            continue
        if name != RBAC_FILTER:
            return False
        if name in configs and name in wanted:
            configs[name].CopyFrom(common(configs[name], wanted[name]))
        else:
            configs.pop(name, None)
    return True


def _each_domain_once(hosts: Iterable[VirtualHost]) -> Iterable[VirtualHost]:
    """The virtual hosts without the domains that an earlier one has, if any are left."""
    taken: set[str] = set()
    for host in hosts:
        left = list({d.lower(): d for d in host.domains if d.lower() not in taken}.values())
        taken.update(domain.lower() for domain in left)
        if len(left) == len(host.domains):
            yield host
        elif left:
            yield VirtualHost(name=host.name, domains=left, routes=host.routes)


def _common(previous: Iterable[Route], new: Iterable[Route]) -> Iterable[Route]:
    """The routes of both, up to where leaving one out could let more through.

    A request that a left-out route would have caught falls to a later one, which is harmless only
    if that leads to the same target, or refuses it. Where one of the two sends every request to one
    target, what the other sends there is in both: so a kubelet's probe passes all the while.
    """
    earlier, later = tuple(previous), tuple(new)
    everything = _everything(later)
    if everything is not None:
        yield from _inside(earlier, later, everything)
        return
    everything = _everything(earlier)
    old = {_key(route.match): route for route in earlier}
    left_out: set[bytes] = set()
    for route in later:
        before = old.get(_key(route.match))
        if before is None and everything is not None and _plain(route.match):
            before = route if _leads_on(everything, route) else None
        same = before is not None and _leads_on(before, route)
        refuses = route.HasField("direct_response")
        if not same:
            if refuses:
                return
            left_out.add(_action(route))
        elif refuses or left_out <= {_action(route)}:
            assert before is not None
            yield before
        else:
            return


def _inside(previous: Iterable[Route], new: Iterable[Route], everything: Route) -> Iterable[Route]:
    """The previous routes, where the new ones send every request to one target: those that lead
    there as well, and those that refuse.
    """
    tunnels = (route for route in new if route.match.HasField("connect_matcher"))
    connect = {_key(route.match) for route in tunnels if _leads_on(route, everything)}
    for route in previous:
        tunnel = route.match.HasField("connect_matcher")
        if route.HasField("direct_response") or (
            _leads_on(route, everything) and (not tunnel or _key(route.match) in connect)
        ):
            yield route


def _everything(routes: tuple[Route, ...]) -> Route | None:
    """The route that takes any request but CONNECT, if all before it lead to the same target."""
    for number, route in enumerate(routes):
        if route.match == RouteMatch(prefix="/"):
            same = all(_leads_on(one, route) for one in routes[:number])
            return route if same and not route.HasField("direct_response") else None
    return None


def _plain(match: RouteMatch) -> bool:
    """True if no client can reject the match: it has no expression, and asks for no more than a
    path and exact headers.
    """
    plain = RouteMatch(path=match.path)
    plain.headers.extend(one for one in match.headers if one.string_match.HasField("exact"))
    return bool(match.path) and plain == match


def _leads_on(one: Route, other: Route) -> bool:
    """True if what both catch goes to the same target, or to the same refusal, as asked alike."""
    return _action(one) == _action(other) and _told(one, other)


def _action(route: Route) -> bytes:
    """Where a route leads: the cluster, or the refusal itself."""
    if route.HasField("route") and route.route.cluster:
        return f"to {route.route.cluster}".encode()
    if route.HasField("direct_response"):
        return _key(route.direct_response)
    return _key(route)


def _told(one: Route, other: Route) -> bool:
    """True if both say the same to filters, limits apart."""
    mine, others = dict(one.typed_per_filter_config), dict(other.typed_per_filter_config)
    mine.pop(REQUEST_LIMIT, None)
    others.pop(REQUEST_LIMIT, None)
    return mine == others


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
    return _key(only)


def _assignment(
    previous: ClusterLoadAssignment, new: ClusterLoadAssignment
) -> ClusterLoadAssignment:
    """The endpoints of both."""
    addresses = {
        _key(one.endpoint.address) for group in new.endpoints for one in group.lb_endpoints
    }
    result = deepcopy(previous)
    for group in result.endpoints:
        kept = [one for one in group.lb_endpoints if _key(one.endpoint.address) in addresses]
        del group.lb_endpoints[:]
        group.lb_endpoints.extend(kept)
    return result


def _key(message: Message) -> bytes:
    data: bytes = message.SerializeToString(deterministic=True)
    return data


_BY_TYPE: dict[str, tuple[Callable[[], Message], Callable[..., Message | None]]] = {
    CLUSTER: (Cluster, _cluster),
    ENDPOINTS: (ClusterLoadAssignment, _assignment),
    LISTENER: (Listener, _listener),
    ROUTES: (RouteConfiguration, _routes),
}
_BESIDE_OPEN_ROUTES = _BY_TYPE | {
    LISTENER: (Listener, partial(_listener, asks_nothing=_ASKS_NOTHING | {RBAC_FILTER}))
}
