"""What two route configurations of one name both let through, route by route: see
`intersection`.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from envoy.config.route.v3.route_components_pb2 import Route, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from towpath.encode.envoy.limits import REQUEST_LIMIT
from towpath.encode.envoy.names import OUTBOUND_ROUTES, RBAC_FILTER
from towpath.encode.envoy.rbac import common
from towpath.encode.pack import serialized


def routes_intersection(
    previous: RouteConfiguration, new: RouteConfiguration
) -> RouteConfiguration:
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
    old = {serialized(route.match): route for route in earlier}
    left_out: set[bytes] = set()
    for route in later:
        before = old.get(serialized(route.match))
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
    connect = {serialized(route.match) for route in tunnels if _leads_on(route, everything)}
    for route in previous:
        tunnel = route.match.HasField("connect_matcher")
        if route.HasField("direct_response") or (
            _leads_on(route, everything) and (not tunnel or serialized(route.match) in connect)
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
        return serialized(route.direct_response)
    return serialized(route)


def _told(one: Route, other: Route) -> bool:
    """True if both say the same to filters, limits apart."""
    mine, others = dict(one.typed_per_filter_config), dict(other.typed_per_filter_config)
    mine.pop(REQUEST_LIMIT, None)
    others.pop(REQUEST_LIMIT, None)
    return mine == others
