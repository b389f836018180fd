"""What a client's words about rejected routes point at."""

from __future__ import annotations

import re
from collections.abc import Iterable

from envoy.config.route.v3.route_components_pb2 import Route
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf.message import DecodeError

from towpath.encode.pack import unpack
from towpath.model.snapshot import Resource

_PLACE = re.compile(r"VirtualHosts\[(\d+)\](?:.*?\.Routes\[(\d+)\])?", re.DOTALL)
_REASON = 3000
"""In characters: at the end of the words, behind the resource, which may be long."""
_EXPRESSION = re.compile(r"regex '(.*?)' ", re.DOTALL)


def pointed_at(resource: Resource, text: str) -> frozenset[str]:
    """The policies (`<namespace>/<name>`) of the routes that *text* names by their place, or by an
    expression; none if it names none.
    """
    configuration = RouteConfiguration()
    text = text[-_REASON:]
    try:
        if not unpack(resource).Unpack(configuration):
            return frozenset()
    except DecodeError:  # nothing of it can be pointed at
        return frozenset()
    routes = [*_placed(configuration, text), *_with_expression(configuration, text)]
    return frozenset(name for route in routes for name in route.name.split(",") if "/" in name)


def _placed(configuration: RouteConfiguration, text: str) -> Iterable[Route]:
    for host, route in _PLACE.findall(text):
        there = int(host) < len(configuration.virtual_hosts)
        routes = configuration.virtual_hosts[int(host)].routes if there else ()
        yield from routes[int(route) : int(route) + 1] if route else routes


def _with_expression(configuration: RouteConfiguration, text: str) -> Iterable[Route]:
    expressions = set(_EXPRESSION.findall(text))
    for host in configuration.virtual_hosts if expressions else ():
        for route in host.routes:
            headers = (header.string_match.safe_regex.regex for header in route.match.headers)
            if expressions & {route.match.safe_regex.regex, *headers}:
                yield route
