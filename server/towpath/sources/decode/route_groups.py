"""HTTPRouteGroup: sets of requests. An invalid match is left out: it would have allowed some."""

from __future__ import annotations

import re
from collections.abc import Mapping

from towpath.model.codes import Code
from towpath.model.egress import ANY_METHOD, METHODS, HTTPRouteGroup, RequestMatch
from towpath.sources.decode.expressions import Expressions
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.schema import Schema

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")

_CLOSED = "the group allows no request"
SCHEMA = Schema.of_object(
    effect=_CLOSED,
    spec=Schema.of(
        effect=_CLOSED,
        matches=Schema.of(
            "name", "pathRegex", "methods", "headers", effect="the match allows no request"
        ),
    ),
)


def route_group(raw: Mapping[str, object], findings: Findings) -> HTTPRouteGroup | None:
    report_unknown(raw, SCHEMA, findings)
    top = Reader(raw, "", findings, SCHEMA)
    spec = top.section("spec")
    expressions = Expressions(findings)
    sections = spec.sections("matches")
    matches = [
        (section.text("name"), match)
        for section in sections
        if (match := _match(section, expressions, findings)) is not None
    ]
    if not sections:
        findings.add(Code.NOTHING_LEFT, "spec.matches", "no match: the group allows no request")
    usable = () if top.misspelt or spec.misspelt else matches
    return HTTPRouteGroup(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        matches=tuple(match for _, match in usable),
        names=tuple(name for name, _ in usable),
        stamp=top.stamp(),
    )


def _match(match: Reader, expressions: Expressions, findings: Findings) -> RequestMatch | None:
    before = findings.count
    path = match.text("pathRegex") or ".*"
    expressions.check(match.path("pathRegex"), path)
    methods = match.texts("methods")
    for method in methods:
        if method not in METHODS:
            match.left_out("methods", method, allowed=", ".join(METHODS))
    headers = match.pairs("headers")
    for name, pattern in headers:
        if not _HEADER.fullmatch(name):
            match.left_out("headers", name, allowed="the name of an HTTP header, such as x-user")
        expressions.check(f"{match.path('headers')}.{name}", pattern)
    if match.misspelt:
        return None
    if findings.count > before:
        findings.add(
            Code.NOTHING_LEFT, match.path(""), "the match is left out: it allows no request"
        )
        return None
    return RequestMatch(
        path=path,
        methods=() if ANY_METHOD in methods else tuple(sorted(set(methods))),
        headers=tuple(sorted((name.lower(), pattern) for name, pattern in headers)),
    )
