"""Permits as policies of RBAC: one for each, so that they add up in any order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.rbac.v3.rbac_pb2 import Permission, Policy, Principal
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from envoy.type.matcher.v3.path_pb2 import PathMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from towpath.encode.envoy import matches
from towpath.encode.envoy.regex import expression
from towpath.model.egress import RequestMatch
from towpath.model.paths import ANY_PATH, FOLDABLE
from towpath.model.plan import Ingress, Permit, Request

INGRESS = "ingress/"
"""How the policies of IngressBackends begin; those of TrafficTargets have one slash, and no #."""
HEALTH = "kubelet"
"""The policy of the kubelet's probes; no other has a name without a slash."""


def granted(
    permits: Iterable[Permit], health: tuple[Request, ...], *, by_certificate: bool
) -> dict[str, Policy]:
    """The policies of a port: whoever calls is told by the certificate, or else by the address."""
    policies = {}
    if health:
        probes = [_probe(one) for one in health]
        policies[HEALTH] = Policy(permissions=probes, principals=[Principal(any=True)])
    for permit in permits:
        principals = _named(permit.names) if by_certificate else _at(permit.addresses)
        if principals and permit.requests:
            permissions = [_request(match) for match in permit.requests]
            policies[permit.policy] = Policy(permissions=permissions, principals=principals)
    return policies


def ingress(entries: Iterable[Ingress]) -> dict[str, Policy]:
    """The policies of what is let in from outside the mesh: any request, but for the host that TLS
    asks for.
    """
    by_policy: dict[str, list[Ingress]] = defaultdict(list)
    for entry in entries:
        by_policy[entry.policy].append(entry)
    return {
        f"{INGRESS}{policy}#{number}": Policy(
            permissions=_asked_for(entry.hosts), principals=_from_outside(entry)
        )
        for policy, of_policy in by_policy.items()
        for number, entry in enumerate(of_policy)
    }


def _asked_for(hosts: tuple[str, ...]) -> list[Permission]:
    if not hosts:
        return [Permission(any=True)]
    return [Permission(requested_server_name=StringMatcher(exact=host)) for host in hosts]


def _from_outside(entry: Ingress) -> list[Principal]:
    """Any of the addresses; and, if certificates are asked for, any of these."""
    addresses = _at(entry.ranges)
    if not entry.names:
        return addresses
    if not addresses:
        return _named(entry.names)
    both = Principal.Set(
        ids=[
            Principal(or_ids=Principal.Set(ids=addresses)),
            Principal(or_ids=Principal.Set(ids=_named(entry.names))),
        ]
    )
    return [Principal(and_ids=both)]


def _at(addresses: tuple[str, ...]) -> list[Principal]:
    """Of the connection itself: what a header says of the client's address anyone may write. One
    may be a CIDR block.
    """
    parts = (one.partition("/") for one in addresses)
    ranges = (
        CidrRange(address_prefix=address, prefix_len={"value": int(length or 32)})
        for address, _, length in parts
    )
    return [Principal(direct_remote_ip=one) for one in ranges]


def _named(names: tuple[str, ...]) -> list[Principal]:
    return [
        Principal(authenticated=Principal.Authenticated(principal_name=StringMatcher(exact=name)))
        for name in names
    ]


def _request(match: RequestMatch) -> Permission:
    """A path that a server may take for another one is for rules of any path."""
    rules = []
    if match.path != ANY_PATH:
        rules += [_path(match.path), Permission(not_rule=_path(FOLDABLE))]
    if match.methods:
        rules.append(Permission(header=matches.header(":method", "|".join(match.methods))))
    rules += [Permission(header=matches.header(name, regex)) for name, regex in match.headers]
    if not rules:
        return Permission(any=True)
    return Permission(and_rules=Permission.Set(rules=rules))


def _probe(request: Request) -> Permission:
    path = PathMatcher(path=StringMatcher(exact=request.path))
    method = HeaderMatcher(name=":method", string_match=StringMatcher(exact=request.method))
    rules = [Permission(url_path=path), Permission(header=method)]
    return Permission(and_rules=Permission.Set(rules=rules))


def _path(regex: str) -> Permission:
    matcher = StringMatcher(safe_regex=expression(regex))
    return Permission(url_path=PathMatcher(path=matcher))
