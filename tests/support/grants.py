"""The oracle of TrafficTargets: who comes in, straight from what the manifests say.

It reads the documents themselves, one target after the other, and adds up what each grants. It
knows nothing of decoded values, permits, chains or RBAC; what the product does must come to the
same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from support.oracle import in_normal_form, well_formed
from towpath.planning.egress.decide import Attempt

Document = Mapping[str, Any]
BY_REQUEST = ("http", "grpc")
METHODS = ("*", "GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")


@dataclass(frozen=True, slots=True)
class Caller:
    """A pod: its service account, where it calls from, and whether that is its node's address.

    One that has `finished` still has an address, which may be another's by now.
    """

    namespace: str
    account: str
    address: str
    host_network: bool = False
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """The account of the called pod, and what each of its ports speaks."""

    namespace: str
    account: str
    ports: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class World:
    """All that is there; `monitored` are the namespaces of the mesh."""

    documents: Sequence[Document]
    callers: Sequence[Caller]
    server: Server
    monitored: frozenset[str]


def comes_in(world: World, address: str, port: int, attempt: Attempt) -> bool:
    """True if some target grants it what an attempt from that address asks of that port."""
    speaks = world.server.ports.get(port)
    if speaks is None or (speaks in BY_REQUEST and not well_formed(attempt)):
        return False
    return any(
        _is_for(world, target["spec"], address) and _grants(world, target, port, attempt)
        for target in _of_kind(world, "TrafficTarget")
        if _can_be_read(world, target)
    )


def comes_in_by_certificate(
    world: World, account: tuple[str, str], port: int, attempt: Attempt
) -> bool:
    """The same by mutual TLS, of whoever shows a certificate of that account (its namespace and
    name), wherever the request comes from: for ports where requests are seen.
    """
    return well_formed(attempt) and any(
        account in _sources(world, target["spec"]) and _grants(world, target, port, attempt)
        for target in _of_kind(world, "TrafficTarget")
        if _can_be_read(world, target)
    )


def _of_kind(world: World, kind: str) -> Iterable[Document]:
    return (one for one in world.documents if one["kind"] == kind)


def _beside(world: World, target: Document, rule: Document) -> Document | None:
    """The route object that a rule of the target names."""
    wanted = (rule["kind"], target["metadata"]["namespace"], rule["name"])
    for one in world.documents:
        if (one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]) == wanted:
            return one
    return None


def _can_be_read(world: World, target: Document) -> bool:
    """True if the target speaks for the called account, and each of its rules says something."""
    own, spec = target["metadata"]["namespace"], target["spec"]
    destination, server = spec["destination"], world.server
    return (
        own == server.namespace
        and own in world.monitored
        and destination.get("kind") == "ServiceAccount"
        and destination.get("name") == server.account
        and destination.get("namespace", own) == own
        and bool(spec["rules"])
        and all(rule["kind"] in ("HTTPRouteGroup", "TCPRoute") for rule in spec["rules"])
    )


def _is_for(world: World, spec: Document, address: str) -> bool:
    """True if whoever is at the address is a source: all pods there, and none in a node's place."""
    sources = _sources(world, spec)
    there = [one for one in world.callers if one.address == address and not one.finished]
    return bool(there) and all(
        (one.namespace, one.account) in sources and not one.host_network for one in there
    )


def _sources(world: World, spec: Document) -> set[tuple[str, str]]:
    """Namespaces and names of the accounts that are meant."""
    return {
        (one["namespace"], one["name"])
        for one in spec["sources"]
        if one.get("kind") == "ServiceAccount"
        and one.get("namespace") in world.monitored
        and one.get("name")
    }


def _grants(world: World, target: Document, port: int, attempt: Attempt) -> bool:
    """True if the rules of one target, taken together, are about the port and the request."""
    rules = target["spec"]["rules"]
    groups = [rule for rule in rules if rule["kind"] == "HTTPRouteGroup"]
    routes = [_ports(_beside(world, target, rule)) for rule in rules if rule["kind"] == "TCPRoute"]
    named = any(ports != "all" and port in ports for ports in routes)
    about = not routes or named or "all" in routes
    if world.server.ports[port] not in BY_REQUEST:
        return bool(routes) and (named or ("all" in routes and not groups))
    return about and any(
        _asks_for(match, attempt)
        for rule in groups
        for match in _matches(_beside(world, target, rule), rule)
    )


def _ports(route: Document | None) -> frozenset[int] | str:
    if route is None:
        return frozenset()
    ports = route["spec"]["matches"].get("ports", [])
    if not ports:
        return "all"
    return frozenset(one for one in ports if isinstance(one, int) and 0 < one < 2**16)


def _matches(group: Document | None, rule: Document) -> Iterable[Document]:
    every = group["spec"]["matches"] if group is not None else ()
    return (one for one in every if not rule.get("matches") or one.get("name") in rule["matches"])


def _asks_for(match: Document, attempt: Attempt) -> bool:
    path = match.get("pathRegex", ".*")
    methods = match.get("methods", ["*"])
    headers = {name.lower(): value for name, value in match.get("headers", {}).items()}
    if not all(map(_is_regex, (path, *headers.values()))) or not {*methods} <= {*METHODS}:
        return False
    path_alone = attempt.path.partition("?")[0]
    if path != ".*" and (attempt.method == "CONNECT" or not in_normal_form(path_alone)):
        return False
    shown = {name.lower(): value for name, value in attempt.headers} | {"host": attempt.host}
    return (
        bool({"*", attempt.method} & {*methods})
        and re.fullmatch(path, path_alone) is not None
        and all(
            name in shown and re.fullmatch(regex, shown[name]) for name, regex in headers.items()
        )
    )


def _is_regex(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return bool(text)
