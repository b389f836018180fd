"""TrafficTarget: who may call whom. What cannot be read grants nothing, and never more than meant.

A source that is wrong is left out; a rule that is wrong closes the whole target, as it may have
been meant as a restriction of the others.
"""

from __future__ import annotations

from collections.abc import Mapping

from towpath.model.codes import Code
from towpath.model.inmesh import RouteReference, TrafficTarget
from towpath.model.names import Account, Kind
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.names import NameRule
from towpath.sources.decode.references import reference
from towpath.sources.decode.schema import Schema

_CLOSED = "the TrafficTarget allows nothing"
_RULES = (Kind.HTTP_ROUTE_GROUP.value, Kind.TCP_ROUTE.value)
SCHEMA = Schema.of_object(
    effect=_CLOSED,
    spec=Schema.of(
        effect=_CLOSED,
        destination=Schema.of("kind", "name", "namespace", effect=_CLOSED),
        sources=Schema.of("kind", "name", "namespace", effect="the source gains nothing"),
        rules=Schema.of("kind", "name", "matches", effect=_CLOSED),
    ),
)


def traffic_target(raw: Mapping[str, object], findings: Findings) -> TrafficTarget | None:
    """One target; it is held even if nothing of it is left, so that people can be told."""
    report_unknown(raw, SCHEMA, findings)
    top = Reader(raw, "", findings, SCHEMA)
    spec = top.section("spec")
    destination = _destination(spec.section("destination"), findings)
    sources = _sources(spec, findings)
    rules, clear = _rules(spec, findings)
    misspelt = top.misspelt or spec.misspelt or spec.section("destination").misspelt
    return TrafficTarget(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        destination=destination,
        sources=sources,
        rules=rules,
        closed=misspelt or not clear or destination is None,
        stamp=top.stamp(),
    )


def _destination(reader: Reader, findings: Findings) -> Account | None:
    own = findings.ref.namespace
    name, namespace = reader.text("name"), reader.text("namespace") or own
    for field, value, right, allowed in (
        ("kind", reader.value("kind"), reader.value("kind") == "ServiceAccount", "ServiceAccount"),
        ("name", name, NameRule.SUBDOMAIN.holds(name), NameRule.SUBDOMAIN.words),
        ("namespace", namespace, namespace == own, f"{own}, that of the TrafficTarget"),
    ):
        if not right:
            findings.invalid(reader.path(field), value, allowed=allowed, effect=_CLOSED)
            return None
    return Account(namespace, name)


def _sources(spec: Reader, findings: Findings) -> tuple[Account, ...]:
    rule = NameRule.SUBDOMAIN
    named = (reference(one, rule, kind="ServiceAccount") for one in spec.sections("sources"))
    sources = {Account(*names) for names in named if names}
    if not sources:
        message = f"no valid source: {_CLOSED}"
        findings.add(Code.NOTHING_LEFT, "spec.sources", message)
    return tuple(sorted(sources))


def _rules(spec: Reader, findings: Findings) -> tuple[tuple[RouteReference, ...], bool]:
    """The rules, and whether there are some, each of which can be read."""
    readers = spec.sections("rules")
    rules = [rule for one in readers if (rule := _rule(one, findings))]
    if not spec.length("rules"):
        findings.add(Code.NOTHING_LEFT, "spec.rules", f"no rule: {_CLOSED}")
    clear = bool(rules) and len(rules) == spec.length("rules")
    return tuple(sorted(set(rules), key=_order)), clear


def _rule(reader: Reader, findings: Findings) -> RouteReference | None:
    kind, name = reader.text("kind"), reader.text("name")
    if kind not in _RULES:
        allowed = " or ".join(_RULES)
        findings.invalid(reader.path("kind"), kind, allowed=allowed, effect=_CLOSED)
        return None
    if not NameRule.SUBDOMAIN.holds(name):
        allowed = NameRule.SUBDOMAIN.words
        findings.invalid(reader.path("name"), name, allowed=allowed, effect=_CLOSED)
        return None
    if reader.misspelt:
        return None
    if kind == Kind.TCP_ROUTE:
        if reader.length("matches"):
            message = "a TCPRoute has no matches to choose from: all of its ports are meant"
            findings.add(Code.CORRECTED_VALUE, reader.path("matches"), message)
        return RouteReference(Kind.TCP_ROUTE, name)
    matches = reader.texts("matches")
    named = tuple(sorted(set(matches))) if reader.length("matches") else None
    return RouteReference(Kind.HTTP_ROUTE_GROUP, name, named)


def _order(rule: RouteReference) -> tuple[str, str, tuple[str, ...]]:
    return rule.kind, rule.name, rule.matches or ()
