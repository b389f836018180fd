"""What policies open, as far as Pipy's scripts hold to it.

The scripts judge a connection by port and address alone, and by one protocol for both. So plain
HTTP by exact host names, and bytes, are said to them; what needs a look at TLS, or at the address
behind a host, is not, since they would let out more than a policy allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from towpath.encode.pipy.inbound import WEIGHT
from towpath.encode.pipy.regex import ANY_WITH_QUERY, Explosive, NotPortable, on_path, on_value
from towpath.model.codes import Code
from towpath.model.egress_plan import (
    PASSTHROUGH,
    AddressRange,
    EgressTarget,
    Host,
    Resolution,
    Route,
)
from towpath.model.names import Kind, ObjectRef, Protocol
from towpath.model.plan import Destination, Outbound, destination_of
from towpath.model.problem import Problem
from towpath_api.v1.sidecar_pb2 import OutboundHttpRoute, OutboundMatch

_NOT_IN_SCRIPTS = frozenset({"CONNECT"})
"""Methods that the scripts take, but not as what they are: a tunnel has no path."""


def withheld(let_out: Outbound) -> tuple[Problem, ...]:
    """What Pipy sidecars with this plan do otherwise than their policies say, sorted."""
    problems = set()
    for _, judged in judgements(let_out):
        for gap in judged.gaps:
            for policy in gap.policies:
                namespace, _, name = policy.partition("/")
                ref = ObjectRef(Kind.EGRESS, namespace, name)
                message = f"pipy sidecars {gap.message}"
                problems.add(Problem(ref, gap.field, Code.PIPY_CANNOT, message))
    return tuple(
        sorted(problems | set(_undivided(let_out.destinations)) | set(_unretried(let_out)))
    )


def _unretried(let_out: Outbound) -> Iterable[Problem]:
    for name, _ in let_out.retries:
        if of := destination_of(name):
            ref = ObjectRef(Kind.SERVICE, of[0], of[1])
            message = f"pipy sidecars send nothing again: Retries have no effect on port {of[2]}"
            yield Problem(ref, "", Code.PIPY_IGNORES, message)


def _undivided(destinations: Iterable[Destination]) -> Iterable[Problem]:
    """Conditional splits: all requests are divided as those that no group is about."""
    for destination in destinations:
        for branch in destination.branches[:-1]:
            namespace, _, name = branch.policy.partition("/")
            ref = ObjectRef(Kind.TRAFFIC_SPLIT, namespace, name)
            message = "pipy sidecars do not tell requests apart here: the split divides nothing"
            yield Problem(ref, "spec.matches", Code.PIPY_CANNOT, message)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that sidecars of this kind do not do as these policies say."""

    policies: tuple[str, ...]
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One address range: what is said to the sidecar (None: nothing), which targets that
    uses, and what it falls short of.
    """

    match: OutboundMatch | None
    targets: frozenset[str]
    gaps: tuple[Gap, ...]


def judgements(let_out: Outbound) -> Iterable[tuple[int, Judged]]:
    """Every address range of every port."""
    targets = {target.name: target for target in let_out.egress.targets}
    for port in let_out.egress.ports:
        for address_range in port.address_ranges:
            yield port.number, _judge(port.number, address_range, targets, let_out.passthrough)


def _judge(
    port: int,
    address_range: AddressRange,
    targets: dict[str, EgressTarget],
    passthrough: bool,  # noqa: FBT001 (as the plan has it)
) -> Judged:
    if address_range.bytes is not None:
        opaque = _match(port, address_range, Protocol.TCP)
        opaque.tcp_service_route_rules.allowed_egress_traffic = True
        return Judged(opaque, frozenset(), ())
    match, used, refused = _http(port, address_range, targets)
    effect = "so they are refused there"
    if match is None and passthrough:
        effect = "and passthrough lets everything out on that port"
    gaps = [
        *(Gap(gap.policies, gap.field, f"{gap.message}, {effect}") for gap in refused),
        *_beside_http(port, address_range, http=match is not None, passthrough=passthrough),
        *_tls(port, address_range, http=match is not None, passthrough=passthrough),
    ]
    return Judged(match, used, tuple(gaps))


def _http(
    port: int, address_range: AddressRange, targets: dict[str, EgressTarget]
) -> tuple[OutboundMatch | None, frozenset[str], list[Gap]]:
    match = _match(port, address_range, Protocol.HTTP)
    used: set[str] = set()
    gaps: list[Gap] = []
    for host in address_range.hosts or ():
        rules = []
        for route in host.routes:
            try:
                rules.append(_rule(route, targets[route.target]))
                used.add(route.target)
            except _Withheld as reason:
                gaps.append(Gap(route.policies, reason.field, f"{reason} (host {host.host})"))
        if rules:
            for name in (host.host, f"{host.host}:{port}"):
                match.http_host_port2_service[name] = host.host
            rules.sort(key=lambda rule: (rule.path == ANY_WITH_QUERY, rule.path))
            match.http_service_route_rules[host.host].route_rules.extend(rules)
    return (match if used else None), frozenset(used), gaps


class _Withheld(Exception):
    """A route that the scripts would not hold to."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _rule(route: Route, target: EgressTarget) -> OutboundHttpRoute:
    match target.resolution:
        case Resolution.PATTERN:
            raise _Withheld("spec.hosts", "compare hosts letter by letter, without wildcards")
        case Resolution.ADDRESS:
            text = "look a host up and do not keep to the address that was dialled"
            raise _Withheld("spec.ipAddresses", text)
        case Resolution.NAME:
            pass
    wanted = route.match
    methods = [method for method in wanted.methods if method not in _NOT_IN_SCRIPTS]
    if wanted.methods and not methods:
        raise _Withheld("spec.matches", f"do not take the method {', '.join(wanted.methods)}")
    if len(dict(wanted.headers)) < len(wanted.headers):
        raise _Withheld("spec.matches", "match a header by one expression, not by several")
    try:
        rule = OutboundHttpRoute(path=on_path(wanted.path), type="Regex", methods=methods)
        for name, regex in wanted.headers:
            rule.headers[name] = on_value(regex)
    except NotPortable as reason:
        text = f"speak another dialect of regular expressions, without {reason}"
        raise _Withheld("spec.matches", text) from reason
    except Explosive as regex:
        text = f"would try ever more ways through {regex}, and stand still"
        raise _Withheld("spec.matches", text) from regex
    rule.target_clusters[target.name] = WEIGHT
    return rule


def _beside_http(
    port: int, address_range: AddressRange, *, http: bool, passthrough: bool
) -> Iterable[Gap]:
    hosts = address_range.hosts or ()
    if http and passthrough and address_range.other_hosts == PASSTHROUGH:
        text = (
            f"speak only HTTP to the allowed hosts on port {port}: "
            "what else passthrough would let out there is refused"
        )
        yield Gap(_policies(hosts), "spec.ports", text)
    if not http and passthrough and hosts:
        text = f"let these hosts out on port {port} by passthrough, whatever address is dialled"
        yield Gap(_policies(host for host in hosts if not host.routes), "spec.hosts", text)


def _tls(port: int, address_range: AddressRange, *, http: bool, passthrough: bool) -> Iterable[Gap]:
    for name in address_range.server_names:
        if name.target is None and not http:
            text = f"let TLS for {name.host} out on port {port} by passthrough, at any address"
            yield Gap(name.policies, "spec.ipAddresses", text)
        elif name.target is not None and (http or not passthrough):
            text = (
                "do not look at the server name that TLS asks for, "
                f"so {name.host} on port {port} is refused there"
            )
            yield Gap(name.policies, "spec.hosts", text)
    if address_range.other_tls is not None and (http or not passthrough):
        text = (
            f"do not tell TLS from other bytes, so port {port} is closed there; "
            "protocol tcp would open it to anything"
        )
        yield Gap(address_range.tls_policies, "spec.ports", text)


def _match(port: int, address_range: AddressRange, protocol: Protocol) -> OutboundMatch:
    match = OutboundMatch(port=port, protocol=protocol)
    for range_ in address_range.ranges:
        match.destination_ip_ranges.ranges[range_].SetInParent()
    return match


def _policies(hosts: Iterable[Host]) -> tuple[str, ...]:
    return tuple(sorted({policy for host in hosts for policy in host.policies}))
