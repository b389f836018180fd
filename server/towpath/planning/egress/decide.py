"""Decides one connection or request, on the same Outbound that is pushed."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeVar

import re2

from towpath.model.egress import RequestMatch
from towpath.model.egress_plan import PASSTHROUGH, AddressRange, Host, ServerName
from towpath.model.names import Protocol
from towpath.model.paths import ANY_PATH, FOLDABLE
from towpath.model.plan import Destination, Outbound
from towpath.planning.egress.hosts import covers
from towpath.planning.egress.ranges import span
from towpath.regex import bytewise

T = TypeVar("T", Host, ServerName)

PASSTHROUGH_OFF = "egress passthrough is off"
NO_BYTES = "no policy allows any connection here"
ALONE = "policies decide alone for a host that they name"
"""Reasons at the end of a refusal, which say nothing of what was asked for."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A connection to be judged.

    `address` is what is dialled (None: not known, so that no rule with ranges can apply).
    `protocol` is what is spoken: HTTP has host (the Host header, or what CONNECT asks for), method,
    path (as sent, with its query; CONNECT has none) and headers; HTTPS has the server name as host
    ("" for none); TCP has nothing to look at.
    """

    address: str | None
    port: int
    protocol: Protocol
    host: str = ""
    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Through which target or in-mesh destination (None: refused), by which policies, and why,
    step by step.
    """

    via: str | None
    policies: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        return self.via is not None


def decide(outbound: Outbound, attempt: Attempt) -> Decision:
    """In-mesh destination, policy, passthrough, refused: the first that applies decides."""
    destination = dialled_destination(outbound, attempt)
    if destination is not None:
        service = f"Service {destination.namespace}/{destination.service}"
        reason = f"{attempt.address}:{attempt.port} is {service}, an in-mesh destination"
        http = destination.protocol is attempt.protocol is Protocol.HTTP
        if http and (wrong := malformed(attempt)):
            return Decision(None, (), (reason, wrong))
        return Decision(destination.name, (), (reason,))
    if any(attempt.port == o.port and attempt.address in o.addresses for o in outbound.refused):
        return Decision(None, (), (f"{attempt.address}:{attempt.port} is closed in the mesh",))
    reasons = [_not_in_mesh(attempt)]
    return _in_address_range(outbound, _address_range(outbound, attempt), attempt, reasons)


def by_range(outbound: Outbound, attempt: Attempt) -> tuple[tuple[str, Decision], ...]:
    """What becomes of an attempt in each range of its port, if that is where it is dialled."""
    return tuple(
        (address_range.range, _in_address_range(outbound, address_range, attempt, []))
        for port in outbound.egress.ports
        if port.number == attempt.port
        for address_range in port.address_ranges
        if address_range.range is not None
    )


def _in_address_range(
    outbound: Outbound, address_range: AddressRange | None, attempt: Attempt, reasons: list[str]
) -> Decision:
    if address_range is None:
        reasons.append(f"no policy in effect for this service account applies to {_where(attempt)}")
        return _by_passthrough(outbound, reasons)
    if attempt.protocol is Protocol.HTTP and address_range.hosts is not None:
        return _http(outbound, address_range, attempt, reasons)
    if attempt.protocol is Protocol.HTTPS:
        return _tls(outbound, address_range, attempt, reasons)
    return _bytes(outbound, address_range, reasons)


def deciding_host(outbound: Outbound, attempt: Attempt) -> Host | None:
    """What policies say of the host of an HTTP request, if that alone decides about it."""
    address_range = _address_range(outbound, attempt)
    if attempt.protocol is not Protocol.HTTP or address_range is None:
        return None
    return _most_exact(address_range.hosts or (), bare(attempt.host, attempt.port))


def matches(match: RequestMatch, attempt: Attempt) -> bool:
    """True if path (without query), method and headers all match, for a rule that lets somebody in
    or out: a path that a server may read as another one is for rules of any path.
    """
    return (match.path == ANY_PATH or not foldable(attempt.path)) and is_about(match, attempt)


def is_about(match: RequestMatch, attempt: Attempt) -> bool:
    """True if path (without query), as it is sent, method and headers all match."""
    if match.path != ANY_PATH and attempt.method == "CONNECT":
        return False
    if not _fits(match.path, attempt.path.partition("?")[0]):
        return False
    if match.methods and attempt.method not in match.methods:
        return False
    headers = {name.lower(): value for name, value in attempt.headers}
    headers["host"] = attempt.host
    return all(name in headers and _fits(regex, headers[name]) for name, regex in match.headers)


def foldable(path: str) -> bool:
    """True if a server may read the path (with or without its query) as another one."""
    return _fits(FOLDABLE, path.partition("?")[0])


def malformed(attempt: Attempt) -> str:
    """Why a sidecar that looks at HTTP takes such a request for none; "" if it does not."""
    if attempt.method == "CONNECT":
        _, _, port = attempt.host.rpartition(":")
        return "" if port.isdecimal() else "CONNECT needs HOST:PORT"
    if not attempt.path.startswith("/"):
        return f"{attempt.method} {attempt.path}: only a path that begins with / can be routed"
    if "#" in attempt.path:
        return "a path with # is not HTTP: what follows it is never sent, or is written %23"
    if any(not "!" <= character <= "~" for character in attempt.path):
        return "a path of other characters than ! to ~ is not HTTP: they are percent-encoded"
    return ""


def _fits(regex: str, text: str) -> bool:
    """As sidecars match: the whole text, byte by byte."""
    return re2.fullmatch(regex.encode(), text.encode(), _BYTES) is not None


_BYTES = bytewise()


def _http(
    outbound: Outbound, address_range: AddressRange, attempt: Attempt, reasons: list[str]
) -> Decision:
    wrong = malformed(attempt)
    if wrong:
        return Decision(None, (), (*reasons, wrong))
    host = _most_exact(address_range.hosts or (), bare(attempt.host, attempt.port))
    if host is None:
        reasons.append(
            f"no policy in effect names the host {attempt.host!r} on port {attempt.port}"
        )
        if address_range.other_hosts is None or address_range.other_hosts == PASSTHROUGH:
            return _by_passthrough(outbound, reasons)
        return _bytes(outbound, address_range, reasons)
    reasons.append(f"policies that name {host.host}: {', '.join(host.policies)}")
    for route in host.routes:
        if matches(route.match, attempt):
            reasons.append(
                f"{attempt.method} {attempt.path} matches {words(route.match)} of "
                f"{', '.join(route.policies)}"
            )
            return Decision(route.target, route.policies, tuple(reasons))
    allowed = "; ".join(words(route.match) for route in host.routes) or "nothing at this address"
    if foldable(attempt.path) and any(route.match.path != ANY_PATH for route in host.routes):
        reasons.append(
            f"{attempt.path}: a server may normalize it to another path, so it matches only "
            "rules for any path"
        )
    reasons.append(f"{attempt.method} {attempt.path} is not among what they allow: {allowed}")
    if host.otherwise is not None:
        return _bytes(outbound, address_range, reasons)
    return Decision(None, host.policies, (*reasons, ALONE))


def _tls(
    outbound: Outbound, address_range: AddressRange, attempt: Attempt, reasons: list[str]
) -> Decision:
    name = _most_exact(address_range.server_names, attempt.host.lower())
    if name is not None:
        if name.target is not None:
            reasons.append(f"server name {name.host} is allowed by {', '.join(name.policies)}")
            return Decision(name.target, name.policies, tuple(reasons))
        reasons.append(
            f"server name {name.host} is named by {', '.join(name.policies)}, but not allowed at "
            f"{attempt.address or 'an unknown address'}"
        )
        return Decision(None, name.policies, tuple(reasons))
    name_text = f"server name {attempt.host!r}" if attempt.host else "TLS without a server name"
    reasons.append(f"no policy names {name_text} on port {attempt.port}")
    if address_range.tls_policies and address_range.other_tls is not None:
        reasons.append(f"any TLS is allowed here by {', '.join(address_range.tls_policies)}")
        return Decision(address_range.other_tls, address_range.tls_policies, tuple(reasons))
    return _bytes(outbound, address_range, reasons)


def _bytes(outbound: Outbound, address_range: AddressRange, reasons: list[str]) -> Decision:
    if address_range.bytes is None:
        reasons.append(NO_BYTES)
        return _by_passthrough(outbound, reasons)
    range_ = f"addresses in {_ranges(address_range)}" if address_range.ranges else "any address"
    reasons.append(
        f"any connection to {range_} is allowed by {', '.join(address_range.bytes_policies)}"
    )
    return Decision(address_range.bytes, address_range.bytes_policies, tuple(reasons))


def _by_passthrough(outbound: Outbound, reasons: list[str]) -> Decision:
    if outbound.passthrough:
        return Decision(PASSTHROUGH, (), (*reasons, "egress passthrough is on"))
    return Decision(None, (), (*reasons, PASSTHROUGH_OFF))


def dialled_destination(outbound: Outbound, attempt: Attempt) -> Destination | None:
    """The in-mesh destination that is dialled; None if it is none."""
    for destination in outbound.destinations:
        if attempt.port == destination.port and attempt.address in destination.addresses:
            return destination
    return None


def _address_range(outbound: Outbound, attempt: Attempt) -> AddressRange | None:
    """The address range with the narrowest block around the address, on its port."""
    ports = [port for port in outbound.egress.ports if port.number == attempt.port]
    lengths = [
        (_length(address_range, attempt.address), address_range)
        for port in ports
        for address_range in port.address_ranges
    ]
    around = [(length, address_range) for length, address_range in lengths if length is not None]
    return max(around, key=lambda pair: pair[0], default=(-1, None))[1]


def _length(address_range: AddressRange, address: str | None) -> int | None:
    """The length of the narrowest prefix around the address; None: it has none."""
    if not address_range.ranges:
        return -1
    if address is None:
        return None
    number = int(IPv4Address(address))
    around = (range_ for range_ in address_range.ranges if number in span(range_))
    return max((int(range_.partition("/")[2]) for range_ in around), default=None)


def _most_exact(names: tuple[T, ...], host: str) -> T | None:
    fitting = [item for item in names if covers(item.host, host)]
    return max(fitting, key=lambda item: (item.host == host, len(item.host)), default=None)


def bare(authority: str, port: int) -> str:
    """A Host header as a name: in lower case, without the final dot, and without the port that is
    dialled anyhow; another port stays.
    """
    return authority.lower().removesuffix(f":{port}").removesuffix(".")


def _not_in_mesh(attempt: Attempt) -> str:
    where = attempt.address or bare(attempt.host, attempt.port)
    return f"{where}:{attempt.port} is not an in-mesh destination"


def _where(attempt: Attempt) -> str:
    return f"port {attempt.port}" + (f" at {attempt.address}" if attempt.address else "")


def _ranges(address_range: AddressRange) -> str:
    first, others = address_range.ranges[0], len(address_range.ranges) - 1
    return f"{first} and {others} other ranges" if others else first


def words(match: RequestMatch) -> str:
    """The requests of a rule, as people read them."""
    methods = "|".join(match.methods) or "any method"
    headers = "".join(f", {name}: {pattern}" for name, pattern in match.headers)
    return f"{methods} {match.path}{headers}"
