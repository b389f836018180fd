"""The union of rules, port by port and address range by address range.

A data plane picks the narrowest range around an address and then never looks at a wider one, and
the most exact host and then never at a wildcard. So everything that a wider rule allows is
repeated in each narrower range, and in each more exact host: then one look decides, and decides
what the plain union of all rules allows. CIDR blocks of the same policies
are one address range.
"""

from __future__ import annotations

from collections.abc import Iterable

from towpath.model.egress import RequestMatch
from towpath.model.egress_plan import PASSTHROUGH, AddressRange, EgressPort, Host, Route, ServerName
from towpath.model.names import Protocol
from towpath.planning.egress.hosts import Named, policies_of
from towpath.planning.egress.ranges import by_owners, owned
from towpath.planning.egress.rules import BYTES, Rule, by_ranges, needed
from towpath.planning.egress.targets import target_name

ANY_REQUEST = (RequestMatch(),)


def egress_ports(rules: Iterable[Rule], *, passthrough: bool) -> tuple[EgressPort, ...]:
    """Every port that a rule speaks of, by number."""
    by_port: dict[int, list[Rule]] = {}
    for rule in rules:
        by_port.setdefault(rule.port, []).append(rule)
    ports = (
        _port(n, needed(port_rules), passthrough=passthrough)
        for n, port_rules in sorted(by_port.items())
    )
    return tuple(port for port in ports if port.address_ranges)


def _port(number: int, rules: list[Rule], *, passthrough: bool) -> EgressPort:
    port = _Port(rules, passthrough=passthrough)
    anywhere, within = by_ranges(rules)
    groups = list(within.values())
    owners_of = owned((range_, i) for i, ranges in enumerate(within) for range_ in ranges)
    ranges_of: dict[frozenset[int], list[str]] = {}
    for range_, owners in by_owners(owners_of):
        ranges_of.setdefault(owners, []).append(range_)
    address_ranges = [port.address_range((), anywhere)]
    # The owners around a range are fewer than its own: so the wider range stands first.
    for owners, ranges in sorted(ranges_of.items(), key=lambda item: len(item[0])):
        here = [*anywhere, *(rule for i in owners for rule in groups[i])]
        address_ranges.append(port.address_range(tuple(ranges), here))
    protocols = {rule.protocol for rule in rules}
    return EgressPort(
        number=number,
        address_ranges=tuple(
            address_range
            for address_range in address_ranges
            if address_range != AddressRange(address_range.ranges)
        ),
        # Beside http or https the first bytes are needed: then the server is waited for a moment.
        server_first=protocols <= set(BYTES) and Protocol.TCP_SERVER_FIRST in protocols,
    )


class _Port:
    """What all address ranges of one port share."""

    def __init__(self, rules: list[Rule], *, passthrough: bool) -> None:
        self._passthrough = passthrough
        self._http = Named(rule for rule in rules if rule.protocol is Protocol.HTTP)
        self._tls = Named(rule for rule in rules if rule.protocol is Protocol.HTTPS)

    def address_range(self, ranges: tuple[str, ...], here: list[Rule]) -> AddressRange:
        """What the rules of *here*, which hold at these ranges, come to."""
        raw = [rule for rule in here if rule.protocol in BYTES]
        opaque = [r for r in here if r.protocol is Protocol.HTTPS and r.hosts is None]
        everything = target_name(raw[0], None) if raw else None
        any_tls = target_name(opaque[0], None) if opaque else everything
        hosts = self._hosts(here, otherwise=everything)
        return AddressRange(
            ranges=ranges,
            hosts=hosts or None,
            other_hosts=(everything or self._through) if hosts else None,
            server_names=self._server_names(here, any_tls=any_tls),
            other_tls=any_tls,
            bytes=everything,
            tls_policies=policies_of(opaque),
            bytes_policies=policies_of(raw),
        )

    @property
    def _through(self) -> str | None:
        return PASSTHROUGH if self._passthrough else None

    def _hosts(self, here: list[Rule], *, otherwise: str | None) -> tuple[Host, ...]:
        """The hosts that rules allow something for here, and those that would pass though they
        are not allowed.
        """
        allowing = _by_host(rule for rule in here if rule.protocol is Protocol.HTTP)
        named = self._http
        hosts = named.hosts if self._passthrough else named.covered(allowing)
        return tuple(
            Host(
                host=host,
                routes=_routes(allowing, named.around[host]),
                otherwise=otherwise,
                policies=named.policies[host],
            )
            for host in hosts
        )

    def _server_names(self, here: list[Rule], *, any_tls: str | None) -> tuple[ServerName, ...]:
        """The names that are allowed here, and those that would pass though they are not."""
        named = self._tls
        best = {
            pattern: min((rule.ranges is not None, target_name(rule, pattern)) for rule in rules)
            for pattern, rules in _by_host(r for r in here if r.protocol is Protocol.HTTPS).items()
        }
        all_ = self._passthrough and any_tls is None
        return tuple(
            ServerName(host, _first(best, named.around[host]), named.policies[host])
            for host in (named.hosts if all_ else named.covered(best))
        )


def _by_host(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    by_host: dict[str, list[Rule]] = {}
    for rule in rules:
        for host in rule.hosts or ():
            by_host.setdefault(host, []).append(rule)
    return by_host


def _routes(allowing: dict[str, list[Rule]], patterns: Iterable[str]) -> tuple[Route, ...]:
    policies: dict[tuple[RequestMatch, str], set[str]] = {}
    for pattern in patterns:
        for rule in allowing.get(pattern, ()):
            target = target_name(rule, pattern)
            for match in ANY_REQUEST if rule.matches is None else rule.matches:
                policies.setdefault((match, target), set()).add(rule.policy)
    # What allows everything stands last, so that statistics name the narrower policy.
    ordered = sorted(policies.items(), key=lambda item: (item[0][0] == RequestMatch(), item[0]))
    return tuple(Route(match, to, tuple(sorted(by))) for (match, to), by in ordered)


def _first(best: dict[str, tuple[bool, str]], patterns: Iterable[str]) -> str | None:
    """Where a server name leads: to the name itself rather than to a pattern around it."""
    return next((best[pattern][1] for pattern in patterns if pattern in best), None)
