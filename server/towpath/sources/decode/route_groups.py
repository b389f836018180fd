"""HTTPRouteGroup: sets of requests. An invalid match is left out: it would have allowed some."""

from __future__ import annotations

import re
from collections.abc import Mapping

import re2

from towpath.model.egress import ANY_METHOD, METHODS, HTTPRouteGroup, RequestMatch
from towpath.model.problem import Reason
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.known import Known

LONGEST_REGEX = 1000
LARGEST_PROGRAM = 1000
"""Steps of a compiled expression: a few characters can ask for a great many."""

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")

_CLOSED = "the group allows no request"
KNOWN = Known.of(
    "apiVersion",
    "kind",
    "metadata",
    "status",
    effect=_CLOSED,
    spec=Known.of(
        effect=_CLOSED,
        matches=Known.of(
            "name", "pathRegex", "methods", "headers", effect="the match allows no request"
        ),
    ),
)


def route_group(raw: Mapping[str, object], found: Findings) -> HTTPRouteGroup | None:
    report_unknown(raw, KNOWN, found)
    top = Reader(raw, "", found, KNOWN)
    spec = top.section("spec")
    matches = [_match(match, found) for match in spec.sections("matches")]
    if not matches:
        found.add(Reason.INVALID, "spec.matches", "no match: the group allows no request")
    closed = top.misspelt or spec.misspelt
    return HTTPRouteGroup(
        namespace=found.ref.namespace,
        name=found.ref.name,
        matches=() if closed else tuple(match for match in matches if match is not None),
        stamp=top.stamp(),
    )


def _match(match: Reader, found: Findings) -> RequestMatch | None:
    before = found.count
    path = match.text("pathRegex") or ".*"
    _check(match.path("pathRegex"), path, found)
    methods = match.texts("methods")
    for method in methods:
        if method not in METHODS:
            match.left_out("methods", method, allowed=", ".join(METHODS))
    headers = match.pairs("headers")
    for name, pattern in headers:
        if not _HEADER.fullmatch(name):
            match.left_out("headers", name, allowed="the name of an HTTP header, such as x-user")
        _check(f"{match.path('headers')}.{name}", pattern, found)
    if match.misspelt:
        return None
    if found.count > before:
        found.add(Reason.INVALID, match.path(""), "the match is left out: it allows no request")
        return None
    return RequestMatch(
        path=path,
        methods=() if ANY_METHOD in methods else tuple(sorted(set(methods))),
        headers=tuple(sorted((name.lower(), pattern) for name, pattern in headers)),
    )


def _check(path: str, pattern: str, found: Findings) -> None:
    allowed = f"an RE2 expression of at most {LONGEST_REGEX} characters"
    effect = "the match is left out"
    if not pattern:
        # Its author may have meant «present», or «empty»; sidecars take no empty expression.
        found.invalid(path, pattern, allowed=f"{allowed}; .* is any value", effect=effect)
        return
    if len(pattern) > LONGEST_REGEX:
        found.invalid(path, pattern, allowed=allowed, effect=effect)
        return
    options = re2.Options()
    options.log_errors = False
    # As sidecars read it, byte by byte: an expression of larger characters is an error there.
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        size = re2.compile(pattern.encode(), options).programsize
        if size > LARGEST_PROGRAM:
            most = f"{allowed} that compiles to at most {LARGEST_PROGRAM} steps, not {size}"
            found.invalid(path, pattern, allowed=most, effect=effect)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        found.invalid(path, pattern, allowed=f"{allowed} ({text})", effect=effect)
