"""Filter chains of the outbound listener for what policies open.

Envoy judges a connection by port, then address range, then server name, then transport, then
application protocol, and never goes back. So a chain that takes «anything else» is repeated for
every transport that another chain of its address range asks for.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, FilterChainMatch
from envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3 import (
    sni_dynamic_forward_proxy_pb2 as sni,
)

from towpath.encode.envoy import names
from towpath.encode.envoy.egress_clusters import dns_cache
from towpath.encode.envoy.egress_http import http_egress
from towpath.encode.envoy.filters import tcp_proxy
from towpath.encode.pack import pack
from towpath.model.egress_plan import AddressRange, EgressPlan, Resolution

HTTP_PROTOCOLS = ("http/1.0", "http/1.1", "h2c")


Chains = tuple[FilterChain, ...]


def egress_chains(plan: EgressPlan) -> Chains:
    """The chains of every port and address range, in order."""
    patterns = {e.name for e in plan.targets if e.resolution is Resolution.PATTERN}
    return tuple(
        chain
        for port in plan.ports
        for address_range in port.address_ranges
        for chain in _Chains(port.number, address_range, patterns, reports=plan.reports).all()
    )


class _Chains:
    """The chains of one address range."""

    def __init__(
        self, port: int, address_range: AddressRange, patterns: set[str], *, reports: bool
    ) -> None:
        self._reports = reports
        self._port = port
        self._address_range = address_range
        self._patterns = patterns
        self._ranges = [_range(range_) for range_ in address_range.ranges]

    def all(self) -> Iterable[FilterChain]:
        address_range = self._address_range
        if address_range.hosts is not None:
            yield self._http()
        yield from self._server_names()
        if (
            address_range.bytes
            and address_range.hosts is None
            and not address_range.server_names
            and not address_range.tls_policies
        ):
            yield self._tcp("tcp", address_range.bytes)
            return
        if address_range.bytes:
            yield self._tcp("tcp", address_range.bytes, transport="raw_buffer")
        if address_range.other_tls:
            kind = "https" if address_range.tls_policies else "tcp-tls"
            yield self._tcp(kind, address_range.other_tls, transport="tls")

    def _http(self) -> FilterChain:
        name = self._name("http")
        routes = names.egress_routes_of(self._port, self._address_range.range)
        match = self._match(transport="raw_buffer")
        match.application_protocols.extend(HTTP_PROTOCOLS)
        action = http_egress(name, routes, port=self._port, reports=self._reports)
        return FilterChain(name=name, filter_chain_match=match, filters=[action])

    def _server_names(self) -> Iterable[FilterChain]:
        """A chain for all names that lead to one place, and one for those that are refused."""
        leading: dict[str | None, list[str]] = {}
        for server_name in self._address_range.server_names:
            leading.setdefault(server_name.target, []).append(server_name.host)
        for target, hosts in leading.items():
            match = self._match(transport="tls")
            match.server_names.extend(hosts)
            name = self._name("refused" if target is None else "https", hosts[0])
            # Without filters a connection is closed at once; the chain's name says why.
            filters = [] if target is None else self._towards(name, target)
            yield FilterChain(name=name, filter_chain_match=match, filters=filters)

    def _towards(self, name: str, target: str) -> list[Filter]:
        look_up = [self._look_up()] if target in self._patterns else []
        return [*look_up, tcp_proxy(name, target)]

    def _tcp(self, kind: str, target: str, *, transport: str = "") -> FilterChain:
        name = self._name(kind)
        match = self._match(transport=transport)
        return FilterChain(name=name, filter_chain_match=match, filters=[tcp_proxy(name, target)])

    def _look_up(self) -> Filter:
        """Resolve the server name itself: the address that the client dialled does not count."""
        config = sni.FilterConfig(dns_cache_config=dns_cache(), port_value=self._port)
        return Filter(
            name="envoy.filters.network.sni_dynamic_forward_proxy", typed_config=pack(config)
        )

    def _match(self, *, transport: str) -> FilterChainMatch:
        match = FilterChainMatch(
            destination_port={"value": self._port}, transport_protocol=transport
        )
        match.prefix_ranges.extend(self._ranges)
        return match

    def _name(self, kind: str, host: str = "") -> str:
        """`egress-http.80`, and behind it what distinguishes chains of the same port.

        Of several hosts or ranges it is the first, so that the name stays when others come.
        """
        parts = (f"egress-{kind}.{self._port}", host, self._address_range.range or "")
        return "|".join(part for part in parts if part)


def _range(range_: str) -> CidrRange:
    address, _, length = range_.partition("/")
    return CidrRange(address_prefix=address, prefix_len={"value": int(length)})
