"""Egress: what is invalid in a policy is left out, so that what remains never allows more.

A list that held something, and nothing valid, becomes an empty one: it matches nothing. An
absent list means any. What has a field that is not known is closed: it may have been meant as a
restriction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from towpath.model.codes import Code
from towpath.model.egress import Egress, is_numeric
from towpath.model.names import Account, Protocol
from towpath.model.ports import OUTBOUND_PORT
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.hosts import host, hosts_like, ipv4_range, narrowed, ranges_like
from towpath.sources.decode.names import PORTS, NameRule, is_port
from towpath.sources.decode.schema import Schema

ROUTE_GROUP = ("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup")
SETTING = ("policy.openservicemesh.io/v1alpha1", "UpstreamTrafficSetting")

_CLOSED = "the Egress allows nothing"
SCHEMA = Schema.of_object(
    effect=_CLOSED,
    spec=Schema.of(
        "hosts",
        "ipAddresses",
        effect=_CLOSED,
        sources=Schema.of("kind", "name", "namespace", "mtls", effect="the source gains nothing"),
        ports=Schema.of("number", "protocol", effect="the port stays closed"),
        matches=Schema.of("apiGroup", "kind", "name", effect="nothing of it is allowed"),
    ),
)


def egress(raw: Mapping[str, object], findings: Findings) -> Egress | None:
    """One policy; it is held even if nothing of it is left, so that people can be told."""
    report_unknown(raw, SCHEMA, findings)
    top = Reader(raw, "", findings, SCHEMA)
    spec = top.section("spec")
    route_groups, settings, unclear = _matches(spec)
    hosts = _each(spec, "hosts", host, findings, allowed=hosts_like)
    ports, closed_ports = _ports(spec, findings)
    sources, closed_sources = _sources(spec, findings)
    closed = top.misspelt or spec.misspelt or unclear or len(settings) > 1
    if len(settings) > 1:
        message = "Cannot have more than 1 UpstreamTrafficSetting match; the Egress is not used"
        findings.add(Code.SEVERAL_SETTINGS, "spec.matches", message)
    return Egress(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        sources=sources,
        ports=ports if closed else _sensible(ports, hosts, route_groups, findings),
        hosts=hosts,
        ranges=_each(spec, "ipAddresses", ipv4_range, findings, allowed=ranges_like),
        route_groups=route_groups,
        setting=settings[0] if settings else None,
        closed=closed,
        closed_sources=closed_sources,
        closed_ports=closed_ports,
        stamp=top.stamp(),
    )


def closed_egress(raw: Mapping[str, object], findings: Findings) -> Egress:
    """One of which nothing can be read but whom and what it names."""
    silent = Findings(findings.ref, findings.source)
    spec = Reader(raw, "", silent, SCHEMA).section("spec")
    ports, closed_ports = _ports(spec, silent)
    sources, closed_sources = _sources(spec, silent)
    return Egress(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        sources=sources,
        ports=ports,
        hosts=_each(spec, "hosts", host, silent, allowed=hosts_like),
        ranges=(),
        route_groups=(),
        setting=None,
        closed=True,
        closed_sources=closed_sources,
        closed_ports=closed_ports,
    )


def _sources(spec: Reader, findings: Findings) -> tuple[tuple[Account, ...], tuple[Account, ...]]:
    """The accounts that the policy speaks for, and those that it names and opens nothing to."""
    sources: set[Account] = set()
    closed: set[Account] = set()
    for source in spec.sections("sources"):
        name, namespace = source.text("name"), source.text("namespace")
        if not NameRule.SUBDOMAIN.holds(name):
            source.left_out("name", name, allowed=NameRule.SUBDOMAIN.words)
            continue
        if not NameRule.LABEL.holds(namespace):
            source.left_out("namespace", namespace, allowed=NameRule.LABEL.words)
            continue
        account = Account(namespace, name)
        if source.has("mtls"):
            message = "TLS origination is not supported by this version; the source is ignored"
            findings.add(Code.UNSUPPORTED_SOURCE, source.path("mtls"), message)
            closed.add(account)
        elif source.value("kind") != "ServiceAccount":
            source.left_out("kind", source.value("kind"), allowed="ServiceAccount")
            closed.add(account)
        else:
            (closed if source.misspelt else sources).add(account)
    if not sources:
        message = "no valid source: the Egress selects no service account"
        findings.add(Code.NOTHING_LEFT, "spec.sources", message)
    return tuple(sorted(sources)), tuple(sorted(closed - sources))


Ports = tuple[tuple[int, Protocol], ...]


def _ports(spec: Reader, findings: Findings) -> tuple[Ports, Ports]:
    """The ports that the policy opens, and those that it names and opens nothing of."""
    ports: set[tuple[int, Protocol]] = set()
    closed: set[tuple[int, Protocol]] = set()
    for port in spec.sections("ports"):
        number, protocol = port.value("number"), port.value("protocol")
        if not isinstance(number, int) or isinstance(number, bool) or not is_port(number):
            port.left_out("number", number, allowed=PORTS)
        elif number == OUTBOUND_PORT:
            allowed = f"{PORTS} other than {OUTBOUND_PORT}, which is the sidecar's own"
            port.left_out("number", number, allowed=allowed)
        elif not isinstance(protocol, str) or protocol.lower() not in set(Protocol):
            port.left_out("protocol", protocol, allowed=", ".join(Protocol))
            closed |= {(number, Protocol.HTTP), (number, Protocol.HTTPS)}
        else:
            (closed if port.misspelt else ports).add((number, Protocol(protocol.lower())))
    if not ports:
        findings.add(Code.NOTHING_LEFT, "spec.ports", "no valid port: the Egress allows nothing")
    return tuple(sorted(ports)), tuple(sorted(closed - ports))


def _matches(spec: Reader) -> tuple[tuple[str, ...] | None, tuple[str, ...], bool]:
    """Names of route groups (None: none was asked for), and of settings; and whether something
    was asked for that restricts nothing but requests, so that all of the policy has to be closed.
    """
    groups, settings = [], []
    unclear = False
    readers = spec.sections("matches")
    # What is no reference was meant as a restriction all the same.
    restricts = len(readers) < spec.length("matches")
    for match in readers:
        reference = (match.text("apiGroup"), match.text("kind"))
        name = match.text("name")
        if reference == SETTING and name:
            settings.append(name)
            unclear |= match.misspelt
            continue
        restricts = True
        if reference == ROUTE_GROUP and name:
            if not match.misspelt:
                groups.append(name)
        else:
            allowed = " or ".join(f"{kind} of {group}" for group, kind in (ROUTE_GROUP, SETTING))
            given = f"{reference[1]} of {reference[0]}, named {name!r}"
            match.left_out("", given, allowed=f"{allowed}, with a name")
            # Were it a route group, https would not be restricted; were it a setting, it would.
            unclear |= reference[1] != ROUTE_GROUP[1]
    return (tuple(dict.fromkeys(groups)) if restricts else None), tuple(settings), unclear


def _sensible(
    ports: Ports,
    hosts: tuple[str, ...] | None,
    route_groups: tuple[str, ...] | None,
    findings: Findings,
) -> Ports:
    """Say where a part of the policy cannot mean what it seems to; http needs hosts."""
    used = []
    for number, protocol in ports:
        if protocol is Protocol.HTTP and hosts is None:
            message = f"http on port {number} needs spec.hosts; the port is left out"
            findings.add(Code.HTTP_WITHOUT_HOSTS, "spec.hosts", message)
            continue
        used.append((number, protocol))
        if protocol in (Protocol.TCP, Protocol.TCP_SERVER_FIRST) and hosts is not None:
            message = f"hosts do not restrict {protocol}: port {number} is open to every address"
            findings.add(
                Code.HOSTS_WITHOUT_EFFECT, "spec.hosts", f"{message} of spec.ipAddresses, or any"
            )
        if protocol is not Protocol.HTTP and route_groups is not None:
            message = (
                f"requests cannot be seen in {protocol}: on port {number} they are not matched"
            )
            findings.add(Code.MATCHES_WITHOUT_EFFECT, "spec.matches", message)
        if protocol is Protocol.HTTPS and any(map(is_numeric, hosts or ())):
            message = "TLS does not name an address; use tcp and spec.ipAddresses for it"
            findings.add(Code.HOSTS_WITHOUT_EFFECT, "spec.hosts", message)
    return tuple(used)


def _each(
    spec: Reader,
    name: str,
    parse: Callable[[str], str | None],
    findings: Findings,
    *,
    allowed: Callable[[str], str],
) -> tuple[str, ...] | None:
    """The valid items of a list, sorted; None if the list is absent or empty."""
    if not spec.has(name) or spec.is_empty(name):
        return None
    items = set()
    for path, text in spec.texts_at(name):
        parsed = parse(text)
        if parsed is None:
            findings.invalid(path, text, allowed=allowed(text), effect="it is left out")
            continue
        items.add(parsed)
        if name == "ipAddresses" and (message := narrowed(text, parsed)):
            findings.add(Code.CORRECTED_VALUE, path, message)
    if not items:
        message = "nothing valid is left in the list: it matches nothing"
        findings.add(Code.NOTHING_LEFT, spec.path(name), message)
    return tuple(sorted(items))
