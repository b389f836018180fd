"""The union of rules, port by port and zone by zone.

A data plane picks the narrowest range around an address and then never looks at a wider one, and
the most exact host and then never at a wildcard. So everything that a wider rule allows is
repeated in each narrower zone, and in each more exact host: then one look decides, and decides
what the plain union of all rules allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from towpath.model.egress import RequestMatch
from towpath.model.names import Protocol
from towpath.model.ways import PASSTHROUGH, EgressPort, Host, Route, ServerName, Zone
from towpath.planning.egress.externals import external_name
from towpath.planning.egress.rules import Rule

EVERYWHERE = "0.0.0.0/0"
"""The range that is no narrower than any address: a data plane does not tell the two apart."""

ANY_REQUEST = (RequestMatch(),)
_BYTES = (Protocol.TCP, Protocol.TCP_SERVER_FIRST)


def egress_ports(rules: Iterable[Rule], *, passthrough: bool) -> tuple[EgressPort, ...]:
    """Every port that a rule speaks of, by number."""
    by_port: dict[int, list[Rule]] = {}
    for rule in rules:
        by_port.setdefault(rule.port, []).append(rule)
    ports = (_port(n, needed(held), passthrough=passthrough) for n, held in sorted(by_port.items()))
    return tuple(port for port in ports if port.zones)


def covers(pattern: str, host: str) -> bool:
    """True if every name that *host* (a name, or a pattern) stands for fits *pattern*."""
    if not pattern.startswith("*."):
        return pattern == host
    below = pattern[1:]
    return host.endswith(below) and len(host) > len(below)


def contains(wide: str, narrow: str) -> bool:
    """True if every address of the second CIDR is in the first."""
    return IPv4Network(narrow).subnet_of(IPv4Network(wide))


def needed(rules: list[Rule]) -> list[Rule]:
    """The rules of a port without those that add nothing to what passes there as bytes.

    Where a server that speaks first may be at any address, everything passes; to read what the
    client says would keep it waiting.
    """
    anywhere = (rule for rule in rules if rule.ranges is None or EVERYWHERE in rule.ranges)
    if any(rule.protocol is Protocol.TCP_SERVER_FIRST for rule in anywhere):
        return [rule for rule in rules if rule.protocol in _BYTES]
    return rules


def _port(number: int, rules: list[Rule], *, passthrough: bool) -> EgressPort:
    given = {range_ for rule in rules for range_ in rule.ranges or ()}
    ranges = sorted(given - {EVERYWHERE}, key=IPv4Network)
    zones = (_zone(range_, rules, passthrough=passthrough) for range_ in (None, *ranges))
    protocols = {rule.protocol for rule in rules}
    return EgressPort(
        number=number,
        zones=tuple(zone for zone in zones if zone != Zone(zone.range)),
        # Beside http or https the first bytes are needed: then the server is waited for a moment.
        server_first=protocols <= set(_BYTES) and Protocol.TCP_SERVER_FIRST in protocols,
    )


def _zone(range_: str | None, rules: list[Rule], *, passthrough: bool) -> Zone:
    here = [rule for rule in rules if _applies(rule, range_)]
    raw = [rule for rule in here if rule.protocol in _BYTES]
    opaque = [r for r in here if r.protocol is Protocol.HTTPS and r.hosts is None]
    everything = external_name(raw[0], None) if raw else None
    any_tls = external_name(opaque[0], None) if opaque else everything
    looks_at_http = passthrough or any(rule.protocol is Protocol.HTTP for rule in here)
    hosts = _hosts(rules, here, otherwise=everything) if looks_at_http else ()
    return Zone(
        range=range_,
        hosts=hosts or None,
        other_hosts=(everything or (PASSTHROUGH if passthrough else None)) if hosts else None,
        server_names=_server_names(rules, here, any_tls=any_tls, passthrough=passthrough),
        other_tls=any_tls,
        bytes=everything,
        tls_policies=_policies(opaque),
        bytes_policies=_policies(raw),
    )


def _applies(rule: Rule, range_: str | None) -> bool:
    """True if the rule holds for every address of the range."""
    if rule.ranges is None:
        return True
    return any(contains(wide, range_ or EVERYWHERE) for wide in rule.ranges)


def _hosts(rules: list[Rule], here: list[Rule], *, otherwise: str | None) -> tuple[Host, ...]:
    """Every host that a rule of the port names, with what is allowed for it in this zone."""
    named = [rule for rule in rules if rule.protocol is Protocol.HTTP]
    allowed = [rule for rule in here if rule.protocol is Protocol.HTTP]
    return tuple(
        Host(
            host=host,
            routes=_routes(allowed, host),
            otherwise=otherwise,
            policies=_policies(rule for rule in named if _names(rule, host)),
        )
        for host in sorted({host for rule in named for host in rule.hosts or ()})
    )


def _routes(allowed: list[Rule], host: str) -> tuple[Route, ...]:
    found: dict[tuple[RequestMatch, str], set[str]] = {}
    for rule in allowed:
        for pattern in rule.hosts or ():
            if covers(pattern, host):
                for match in ANY_REQUEST if rule.matches is None else rule.matches:
                    external = external_name(rule, pattern)
                    found.setdefault((match, external), set()).add(rule.policy)
    # What allows everything stands last, so that statistics name the narrower policy.
    ordered = sorted(found.items(), key=lambda item: (item[0][0] == RequestMatch(), item[0]))
    return tuple(Route(match, to, tuple(sorted(by))) for (match, to), by in ordered)


def _server_names(
    rules: list[Rule], here: list[Rule], *, any_tls: str | None, passthrough: bool
) -> tuple[ServerName, ...]:
    """The names that are allowed here, and those that would pass though they are not."""
    named = [rule for rule in rules if rule.protocol is Protocol.HTTPS]
    allowed = [rule for rule in here if rule.protocol is Protocol.HTTPS]
    found = []
    for host in sorted({host for rule in named for host in rule.hosts or ()}):
        exact = _best(allowed, host)
        refused = exact is None and any_tls is None and passthrough
        if exact is not None or refused:
            policies = _policies(rule for rule in named if _names(rule, host))
            found.append(ServerName(host, exact, policies))
    return tuple(found)


def _best(allowed: list[Rule], host: str) -> str | None:
    """Where a server name leads: to the name itself rather than to a pattern around it."""
    fitting = [
        (pattern != host, -len(pattern), rule.ranges is not None, external_name(rule, pattern))
        for rule in allowed
        for pattern in rule.hosts or ()
        if covers(pattern, host)
    ]
    return min(fitting)[-1] if fitting else None


def _names(rule: Rule, host: str) -> bool:
    return any(covers(pattern, host) for pattern in rule.hosts or ())


def _policies(rules: Iterable[Rule]) -> tuple[str, ...]:
    return tuple(sorted({rule.policy for rule in rules}))
