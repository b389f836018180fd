"""IngressBackend: who may call from outside the mesh. What cannot be read lets nobody in.

A source or a backend that is wrong is left out: it would have let somebody in. What restricts, and
cannot be read or is not supported, closes what it would have restricted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from towpath.model.codes import Code
from towpath.model.ingress import Backend, IngressBackend
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.hosts import ipv4_range
from towpath.sources.decode.names import PORTS, NameRule, is_port
from towpath.sources.decode.references import reference
from towpath.sources.decode.schema import Schema

_CLOSED = "the IngressBackend lets nothing in"
_BACKEND = "the backend is left out"
_SOURCE = "the source gains nothing"
PRINCIPAL = "AuthenticatedPrincipal"
ADDRESSES = ("Service", "IPRange")
SOURCES = (*ADDRESSES, PRINCIPAL)
PROTOCOLS = ("http", "https", "grpc")
MOST = 100
"""Backends, and sources."""

SCHEMA = Schema.of_object(
    effect=_CLOSED,
    spec=Schema.of(
        "matches",
        effect=_CLOSED,
        backends=Schema.of(
            "name",
            effect=_BACKEND,
            port=Schema.of("number", "protocol", effect=_BACKEND),
            tls=Schema.of("skipClientCertValidation", "sniHosts", effect=_BACKEND),
        ),
        sources=Schema.of("kind", "name", "namespace", effect=_SOURCE),
    ),
)


def ingress_backend(raw: Mapping[str, object], findings: Findings) -> IngressBackend | None:
    """One IngressBackend; it is held even if it lets nothing in, so that people can be told."""
    report_unknown(raw, SCHEMA, findings)
    top = Reader(raw, "", findings, SCHEMA)
    spec = top.section("spec")
    backends, sources = spec.sections("backends"), spec.sections("sources")
    closed = top.misspelt or spec.misspelt
    if spec.length("matches"):
        # Whoever names requests does not mean all of them.
        message = f"is not supported, and would have restricted what is let in: {_CLOSED}"
        findings.add(Code.UNSUPPORTED_RESTRICTION, "spec.matches", message)
        closed = True
    for field, readers in (("backends", backends), ("sources", sources)):
        if len(readers) > MOST:
            message = f"has {len(readers)} {field}; allowed: {MOST}; {_CLOSED}"
            findings.add(Code.LARGE_INGRESS, f"spec.{field}", message)
            closed = True
    usable = [one for reader in backends[:MOST] if (one := _backend(reader, findings))]
    by_kind: dict[str, list[Reader]] = {kind: [] for kind in SOURCES}
    for reader in sources[:MOST]:
        if (kind := reader.text("kind")) not in SOURCES:
            reader.left_out("kind", kind, allowed=", ".join(SOURCES))
        elif not reader.misspelt:
            by_kind[kind].append(reader)
    services = [
        names for reader in by_kind["Service"] if (names := reference(reader, NameRule.LABEL))
    ]
    ranges = [block for reader in by_kind["IPRange"] if (block := _range(reader))]
    principals = [name for reader in by_kind[PRINCIPAL] if (name := _principal(reader))]
    _say_if_empty("spec.backends", usable, findings)
    _say_if_empty("spec.sources", (*services, *ranges, *principals), findings)
    return IngressBackend(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        backends=tuple(sorted(set(usable))),
        services=tuple(sorted(set(services))),
        ranges=tuple(sorted(set(ranges))),
        principals=tuple(sorted(set(principals))),
        addressed=len(by_kind[PRINCIPAL]) < spec.length("sources"),
        certified=sum(one.text("kind") in ADDRESSES for one in sources) < spec.length("sources"),
        closed=closed,
        stamp=top.stamp(),
    )


def _say_if_empty(path: str, usable: Sequence[object], findings: Findings) -> None:
    if not usable:
        findings.add(Code.NOTHING_LEFT, path, f"nothing valid is left: {_CLOSED}")


def _backend(reader: Reader, findings: Findings) -> Backend | None:
    name, port, tls = reader.text("name"), reader.section("port"), reader.section("tls")
    number, given = port.value("number"), port.value("protocol")
    protocol = "http" if given is None else given.lower() if isinstance(given, str) else ""
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not NameRule.LABEL.holds(name):
        reader.left_out("name", name, allowed=NameRule.LABEL.words)
    elif not (whole and isinstance(number, int) and is_port(number)):
        port.left_out("number", number, allowed=PORTS)
    elif protocol not in PROTOCOLS:
        port.left_out("protocol", given, allowed=", ".join(PROTOCOLS))
    elif not reader.may_be_mapping("tls"):
        reader.left_out("tls", reader.value("tls"), allowed="a mapping")
    elif tls.value("skipClientCertValidation") not in (None, False):
        message = f"nobody is let in by TLS without a certificate: {_BACKEND}"
        findings.add(Code.UNSUPPORTED_RESTRICTION, tls.path("skipClientCertValidation"), message)
    elif len(hosts := tls.texts("sniHosts")) < tls.length("sniHosts"):
        tls.left_out("sniHosts", tls.value("sniHosts"), allowed="a list of host names")
    elif hosts and protocol != "https":
        # Whoever names hosts of TLS means less than whatever comes in plaintext.
        message = f"is about TLS, and the protocol is {protocol}, not https: {_BACKEND}"
        findings.add(Code.UNSUPPORTED_RESTRICTION, tls.path("sniHosts"), message)
    elif not any(one.misspelt for one in (reader, port, tls)):
        return Backend(name, number, protocol == "https", tuple(sorted(map(str.lower, hosts))))
    return None


def _range(reader: Reader) -> str | None:
    name = reader.text("name")
    if (block := ipv4_range(name)) is None:
        reader.left_out("name", name, allowed="an IPv4 range such as 10.0.0.0/8")
    return block


def _principal(reader: Reader) -> str | None:
    name = reader.text("name")
    if name.startswith("spiffe://") or (NameRule.SUBDOMAIN.holds(name) and "." in name):
        return name
    allowed = "<service account>.<namespace>.<trust domain>, or its SPIFFE id"
    reader.left_out("name", name, allowed=allowed)
    return None
