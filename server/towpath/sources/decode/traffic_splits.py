"""TrafficSplit: how requests for one Service are divided among several.

A backend that is wrong is left out. What is wrong with the split as a whole makes it divide
nothing: requests then go to the root, as without it.
"""

from __future__ import annotations

from collections.abc import Mapping

from towpath.model.codes import Code
from towpath.model.inmesh import TrafficSplit
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.names import NameRule, service_named
from towpath.sources.decode.schema import Schema

ROUTE_GROUP = "HTTPRouteGroup"
HEAVIEST = 1_000_000
MOST_BACKENDS = 100
"""So that the sum of all weights is one that a sidecar takes, which is 2**32 - 1."""

_CLOSED = "the TrafficSplit divides nothing"
SCHEMA = Schema.of_object(
    effect=_CLOSED,
    spec=Schema.of(
        "service",
        effect=_CLOSED,
        backends=Schema.of("service", "weight", effect="the backend is left out"),
        matches=Schema.of("apiGroup", "kind", "name", effect=_CLOSED),
    ),
)


def traffic_split(raw: Mapping[str, object], findings: Findings) -> TrafficSplit | None:
    """One split; it is held even if it divides nothing, so that people can be told."""
    report_unknown(raw, SCHEMA, findings)
    top = Reader(raw, "", findings, SCHEMA)
    spec = top.section("spec")
    root = _root(spec, findings)
    groups, clear = _route_groups(spec, findings)
    backends = _backends(spec, findings)
    few = spec.length("backends") <= MOST_BACKENDS
    if not few:
        message = f"has {spec.length('backends')} backends; allowed: {MOST_BACKENDS}; {_CLOSED}"
        findings.add(Code.MANY_BACKENDS, "spec.backends", message)
    return TrafficSplit(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        created=top.section("metadata").text("creationTimestamp"),
        root=root,
        backends=backends if few else (),
        route_groups=groups,
        closed=top.misspelt or spec.misspelt or not clear or not few or not root,
        stamp=top.stamp(),
    )


def _root(spec: Reader, findings: Findings) -> str:
    """The Service's name; "" if it is not one of the split's namespace."""
    text, namespace = spec.text("service"), findings.ref.namespace
    if name := service_named(text, namespace):
        return name
    allowed = f"a Service of namespace {namespace}, such as web or web.{namespace}"
    findings.invalid(spec.path("service"), text, allowed=allowed, effect=_CLOSED)
    return ""


def _backends(spec: Reader, findings: Findings) -> tuple[tuple[str, int], ...]:
    backends: dict[str, int] = {}
    for reader in spec.sections("backends")[: MOST_BACKENDS + 1]:
        name, weight = reader.text("service"), reader.value("weight")
        number = 0 if weight is None else _whole(weight)
        if not NameRule.LABEL.holds(name):
            reader.left_out("service", name, allowed=NameRule.LABEL.words)
        elif number is None:
            reader.left_out("weight", weight, allowed=f"a whole number from 0 to {HEAVIEST}")
        elif name in backends:
            message = f"{name} is a backend already: the weight {backends[name]} holds"
            findings.add(Code.DUPLICATE_BACKEND, reader.path("service"), message)
        elif not reader.misspelt:
            backends[name] = number
    return tuple(backends.items())


def _whole(value: object) -> int | None:
    """A weight; None for what is none, such as 0.5."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= HEAVIEST:
        return value
    return None


def _route_groups(spec: Reader, findings: Findings) -> tuple[tuple[str, ...] | None, bool]:
    """The groups whose requests are meant (None: all requests), and whether that can be read."""
    if not spec.length("matches"):
        return None, True
    readers = spec.sections("matches")
    groups = []
    for reader in readers:
        kind, name = reader.text("kind"), reader.text("name")
        if kind != ROUTE_GROUP:
            findings.invalid(reader.path("kind"), kind, allowed=ROUTE_GROUP, effect=_CLOSED)
        elif not NameRule.SUBDOMAIN.holds(name):
            allowed = NameRule.SUBDOMAIN.words
            findings.invalid(reader.path("name"), name, allowed=allowed, effect=_CLOSED)
        elif not reader.misspelt:
            groups.append(name)
    return tuple(sorted(set(groups))), len(groups) == spec.length("matches")
