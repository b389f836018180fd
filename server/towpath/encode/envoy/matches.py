"""Requests, by path, method and headers, as Envoy's routes match them."""

from __future__ import annotations

from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, RouteMatch
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from towpath.encode.envoy.regex import expression
from towpath.model.egress import RequestMatch


def request(match: RequestMatch) -> RouteMatch:
    """The requests of a rule; the path's query does not count."""
    headers = [header(name, regex) for name, regex in match.headers]
    if match.methods:
        headers.insert(0, header(":method", "|".join(match.methods)))
    return RouteMatch(safe_regex=expression(match.path), headers=headers)


def header(name: str, regex: str) -> HeaderMatcher:
    """A header whose value matches in full; `host` is what HTTP/2 calls :authority."""
    field = ":authority" if name == "host" else name
    return HeaderMatcher(name=field, string_match=StringMatcher(safe_regex=expression(regex)))
