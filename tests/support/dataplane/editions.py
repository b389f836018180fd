"""A control plane whose routes of some services are those of the mesh in another edition.

Run as a command with the options of `towpath serve`. A service with a selector `edition: WORD` has
the mesh's routes, whose answers also say WORD in a header; with some words they are valid protobuf
that Envoy rejects. A word changes nothing else of what sidecars hold. One word is for the routes of
what comes in, at every pod: Envoy rejects them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import click
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import Route, RouteMatch
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher

from towpath.app import serve
from towpath.cli.settings import setting_options
from towpath.encode.envoy.names import INBOUND_ROUTES
from towpath.encode.pack import resource, unpack
from towpath.hub.compose import snapshot
from towpath.hub.hub import Hub
from towpath.model.mesh import Mesh
from towpath.model.names import ClientKind, SidecarId
from towpath.model.snapshot import Layer, Resource, ResourceSet, Snapshot
from towpath.model.types import ROUTES
from towpath.settings import Settings
from towpath.telemetry.logs import configure

SERVE = (sys.executable, "-P", __file__)
EDITION = "edition"
HEADER = "x-edition"
SAME_DOMAIN_TWICE = "same-domain-twice"
"""Envoy names the route configuration as it rejects it."""

BAD_REGEX = "bad-regex"
"""Envoy names nothing as it rejects it."""

BAD_REFUSAL = "bad-refusal"
"""The same, but what matches it would be refused."""

BAD_INBOUND = "bad-inbound"
"""The same of what every pod lets in, and of nothing else."""


def editions(mesh: Mesh, kind: ClientKind, sidecar: SidecarId) -> Snapshot | None:
    """What the mesh is to hold, with each service's routes in its edition."""
    whole = snapshot(mesh, kind, sidecar)
    if whole is None or kind is not ClientKind.ENVOY:
        return whole
    routes = Layer(tuple(_editions(mesh, whole.of(ROUTES).values())))
    return replace(whole, sets={**whole.sets, ROUTES: ResourceSet(ROUTES, (routes,))})


def _editions(mesh: Mesh, routes: Iterable[Resource]) -> Iterable[Resource]:
    words = {
        f"rds-outbound.{service.namespace}/{service.name}|{port.port}": word
        for namespace in mesh.monitored_namespaces()
        for service in mesh.services(namespace)
        for port in service.ports
        if (word := dict(service.selector).get(EDITION))
    }
    inbound = BAD_INBOUND in words.values()
    for one in routes:
        if inbound and one.name.startswith(INBOUND_ROUTES):
            yield _edition(one, BAD_REGEX)
            continue
        yield _edition(one, words[one.name]) if one.name in words else one


def _edition(original: Resource, word: str) -> Resource:
    message = RouteConfiguration()
    assert unpack(original).Unpack(message)
    header = HeaderValue(key=HEADER, value=word)
    message.response_headers_to_add.append(HeaderValueOption(header=header))
    if word == SAME_DOMAIN_TWICE:
        message.virtual_hosts.add(name="again", domains=["*"])
    if word in (BAD_REGEX, BAD_REFUSAL):
        *_, route = message.virtual_hosts[0].routes
        bad = Route(match=RouteMatch(safe_regex=RegexMatcher(regex="(")))
        if word == BAD_REGEX:
            bad.route.CopyFrom(route.route)
        else:
            bad.direct_response.status = 403
        message.virtual_hosts[0].routes.insert(0, bad)
    return resource(original.name, message)


def _alone(_: Mesh, kind: ClientKind, sidecar: SidecarId) -> Hashable:
    return kind, sidecar


def _editions_of(mesh: Mesh, of: tuple[ClientKind, SidecarId]) -> Snapshot | None:
    return editions(mesh, *of)


class HubOfEditions(Hub):
    """A hub that publishes editions, to each sidecar alone."""

    _group = staticmethod(_alone)
    _compose = staticmethod(_editions_of)


@click.command()
@setting_options()
def main(**options: Any) -> None:
    """Serve editions until told to stop."""
    settings = Settings.of(**options)
    configure(level=settings.process.log_level, form=settings.process.log_format)
    with patch("towpath.app.serve.Hub", HubOfEditions):
        asyncio.run(serve(settings, announce=lambda: None))


if __name__ == "__main__":
    main()
