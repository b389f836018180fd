"""Egress: what is invalid in a policy is left out, so that what remains never allows more.

A list that held something, and nothing valid, becomes an empty one: it matches nothing. An
absent list means any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from towpath.model.egress import OUTBOUND_PORT, Egress, is_numeric
from towpath.model.names import Account, Protocol
from towpath.model.problem import Reason
from towpath.sources.decode.fields import Known, Reader
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.hosts import HOSTS, RANGES, host, ipv4_range
from towpath.sources.decode.names import PORTS, NameRule, is_port

ROUTE_GROUP = ("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup")
SETTING = ("policy.openservicemesh.io/v1alpha1", "UpstreamTrafficSetting")

KNOWN = Known.of(
    "apiVersion",
    "kind",
    "metadata",
    "status",
    spec=Known.of(
        "hosts",
        "ipAddresses",
        sources=Known.of("kind", "name", "namespace", "mtls"),
        ports=Known.of("number", "protocol"),
        matches=Known.of("apiGroup", "kind", "name"),
    ),
)


def egress(raw: Mapping[str, object], found: Findings) -> Egress | None:
    """One policy; it is held even if nothing of it is left, so that people can be told."""
    top = Reader(raw, "", found)
    top.report_unknown(KNOWN)
    spec = top.section("spec")
    route_groups, settings = _matches(spec)
    hosts = _each(spec, "hosts", host, found, allowed=HOSTS)
    ports = _ports(spec, found)
    if len(settings) > 1:
        message = "Cannot have more than 1 UpstreamTrafficSetting match; the Egress is not used"
        found.add(Reason.INVALID, "spec.matches", message)
        ports = ()
    return Egress(
        namespace=found.ref.namespace,
        name=found.ref.name,
        sources=_sources(spec, found),
        ports=_sensible(ports, hosts, route_groups, found),
        hosts=hosts,
        ranges=_each(spec, "ipAddresses", ipv4_range, found, allowed=RANGES),
        route_groups=route_groups,
        setting=settings[0] if settings else None,
        stamp=top.stamp(),
    )


def _sources(spec: Reader, found: Findings) -> tuple[Account, ...]:
    sources = []
    for source in spec.sections("sources"):
        name, namespace = source.text("name"), source.text("namespace")
        if source.has("mtls"):
            message = "TLS to the outside is not begun by this version; the source is left out"
            found.add(Reason.NOT_SUPPORTED, source.path("mtls"), message)
        elif source.value("kind") != "ServiceAccount":
            source.left_out("kind", source.value("kind"), allowed="ServiceAccount")
        elif not NameRule.SUBDOMAIN.holds(name):
            source.left_out("name", name, allowed=NameRule.SUBDOMAIN.words)
        elif not NameRule.LABEL.holds(namespace):
            source.left_out("namespace", namespace, allowed=NameRule.LABEL.words)
        else:
            sources.append(Account(namespace, name))
    if not sources:
        message = "no valid source: the Egress speaks for no service account"
        found.add(Reason.INVALID, "spec.sources", message)
    return tuple(sorted(set(sources)))


def _ports(spec: Reader, found: Findings) -> tuple[tuple[int, Protocol], ...]:
    ports = set()
    for port in spec.sections("ports"):
        number, protocol = port.value("number"), port.value("protocol")
        if not isinstance(protocol, str) or protocol.lower() not in set(Protocol):
            port.left_out("protocol", protocol, allowed=", ".join(Protocol))
        elif not isinstance(number, int) or isinstance(number, bool) or not is_port(number):
            port.left_out("number", number, allowed=PORTS)
        elif number == OUTBOUND_PORT:
            allowed = f"{PORTS} other than {OUTBOUND_PORT}, which is the sidecar's own"
            port.left_out("number", number, allowed=allowed)
        else:
            ports.add((number, Protocol(protocol.lower())))
    if not ports:
        found.add(Reason.INVALID, "spec.ports", "no valid port: the Egress allows nothing")
    return tuple(sorted(ports))


def _matches(spec: Reader) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Names of route groups (None: none was asked for), and of settings."""
    groups, settings = [], []
    readers = spec.sections("matches")
    # What is no reference was meant as a restriction all the same.
    asked = len(readers) < spec.length("matches")
    for match in readers:
        reference = (match.text("apiGroup"), match.text("kind"))
        name = match.text("name")
        if reference == SETTING and name:
            settings.append(name)
            continue
        asked = True
        if reference == ROUTE_GROUP and name:
            groups.append(name)
        else:
            allowed = " or ".join(f"{kind} of {group}" for group, kind in (ROUTE_GROUP, SETTING))
            given = f"{reference[1]} of {reference[0]}, named {name!r}"
            match.left_out("", given, allowed=f"{allowed}, with a name")
    return (tuple(dict.fromkeys(groups)) if asked else None), tuple(settings)


def _sensible(
    ports: tuple[tuple[int, Protocol], ...],
    hosts: tuple[str, ...] | None,
    route_groups: tuple[str, ...] | None,
    found: Findings,
) -> tuple[tuple[int, Protocol], ...]:
    """Say where a part of the policy cannot mean what it seems to; http needs hosts."""
    used = []
    for number, protocol in ports:
        if protocol is Protocol.HTTP and hosts is None:
            message = f"http on port {number} needs spec.hosts; the port is left out"
            found.add(Reason.INVALID, "spec.hosts", message)
            continue
        used.append((number, protocol))
        if protocol in (Protocol.TCP, Protocol.TCP_SERVER_FIRST) and hosts is not None:
            message = f"hosts do not restrict {protocol}: port {number} is open to every address"
            found.add(Reason.NOT_SUPPORTED, "spec.hosts", f"{message} of spec.ipAddresses, or any")
        if protocol is not Protocol.HTTP and route_groups is not None:
            message = (
                f"requests cannot be seen in {protocol}: on port {number} they are not matched"
            )
            found.add(Reason.NOT_SUPPORTED, "spec.matches", message)
        if protocol is Protocol.HTTPS and any(map(is_numeric, hosts or ())):
            message = "TLS does not name an address; use tcp and spec.ipAddresses for it"
            found.add(Reason.NOT_SUPPORTED, "spec.hosts", message)
    return tuple(used)


def _each(
    spec: Reader,
    name: str,
    parse: Callable[[str], str | None],
    found: Findings,
    *,
    allowed: str,
) -> tuple[str, ...] | None:
    """The valid items of a list, sorted; None if the list is absent or empty."""
    if not spec.has(name) or spec.is_empty(name):
        return None
    items = set()
    for index, text in enumerate(spec.texts(name)):
        parsed = parse(text)
        if parsed is None:
            path = f"{spec.path(name)}[{index}]"
            found.invalid(path, text, allowed=allowed, effect="it is left out")
        else:
            items.add(parsed)
    if not items:
        message = "nothing valid is left in the list: it matches nothing"
        found.add(Reason.INVALID, spec.path(name), message)
    return tuple(sorted(items))
