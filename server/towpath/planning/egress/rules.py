"""Which policies apply to a service account, as one flat rule for each port."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from towpath.model.egress import (
    Egress,
    HTTPRouteGroup,
    RequestMatch,
    UpstreamTrafficSetting,
    is_numeric,
)
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Kind, Protocol
from towpath.planning.config import config
from towpath.planning.egress.ranges import EVERYWHERE

BYTES = (Protocol.TCP, Protocol.TCP_SERVER_FIRST)


@dataclass(frozen=True, slots=True)
class Rule:
    """What one policy allows on one port.

    `hosts` and `ranges` are None for any, `matches` for any request; an empty tuple allows
    nothing. `searched` are those hosts that a pod's search list completes to another name.
    """

    policy: str
    port: int
    protocol: Protocol
    hosts: tuple[str, ...] | None
    ranges: tuple[str, ...] | None
    matches: tuple[RequestMatch, ...] | None
    setting: UpstreamTrafficSetting | None
    searched: tuple[str, ...] = ()


def rules(mesh: Mesh, account: Account) -> tuple[Rule, ...]:
    """Everything that policies allow the account, by policy and port; none if they are off."""
    return mesh.query(rules_of, mesh.query(speaking, account))


def by_ranges(rules: Iterable[Rule]) -> tuple[list[Rule], dict[tuple[str, ...], list[Rule]]]:
    """The rules that hold at any address, and the others by their ranges; not those of none."""
    anywhere: list[Rule] = []
    within: dict[tuple[str, ...], list[Rule]] = {}
    for rule in rules:
        if rule.ranges is None or EVERYWHERE in rule.ranges:
            anywhere.append(rule)
        elif rule.ranges:
            within.setdefault(rule.ranges, []).append(rule)
    return anywhere, within


def needed(rules: list[Rule]) -> list[Rule]:
    """The rules of a port without those that add nothing to what passes there as bytes.

    Where a server that speaks first may be at any address, everything passes; to read what the
    client says would keep it waiting.
    """
    anywhere = (rule for rule in rules if rule.ranges is None or EVERYWHERE in rule.ranges)
    if any(rule.protocol is Protocol.TCP_SERVER_FIRST for rule in anywhere):
        return [rule for rule in rules if rule.protocol in BYTES]
    return rules


Speaking = tuple[tuple[str, str, bool], ...]
"""Policies by namespace and name, and whether each of them opens anything for whom it names.

What they come to is worked out once for all service accounts of which the same speak.
"""


def speaking(mesh: Mesh, account: Account) -> Speaking:
    """The policies that speak of the account; none if they are off."""
    if not config(mesh).enable_egress_policy or not mesh.monitored(account.namespace):
        return ()
    return tuple(
        (policy.namespace, policy.name, account in policy.sources)
        for policy in selecting(mesh, account)
    )


def rules_of(mesh: Mesh, policies: Speaking) -> tuple[Rule, ...]:
    """Everything that these policies say, in their order."""
    return tuple(
        rule
        for namespace, name, opens in policies
        for policy in (cast("Egress | None", mesh.get(Kind.EGRESS, namespace, name)),)
        if policy is not None
        for rule in mesh.query(_opened if opens else _named, policy)
    )


def selecting(mesh: Mesh, account: Account) -> tuple[Egress, ...]:
    """The policies that name the account as a source and may speak for it."""
    return tuple(
        policy
        for policy in naming(mesh, account)
        if mesh.monitored(policy.namespace)
        and (mesh.cross_namespace_egress or policy.namespace == account.namespace)
    )


def naming(mesh: Mesh, account: Account) -> tuple[Egress, ...]:
    """The policies that name the account as a source, those that may not speak for it too."""
    policies = mesh.group(Kind.EGRESS, ("source", account.namespace, account.name))
    return cast("tuple[Egress, ...]", policies)


def setting_of(mesh: Mesh, policy: Egress) -> UpstreamTrafficSetting | None:
    """The UpstreamTrafficSetting that a policy refers to, if it is there."""
    setting = mesh.get(Kind.UPSTREAM_TRAFFIC_SETTING, policy.namespace, policy.setting or "")
    return cast("UpstreamTrafficSetting | None", setting)


def route_group(mesh: Mesh, namespace: str, name: str) -> HTTPRouteGroup | None:
    return cast("HTTPRouteGroup | None", mesh.get(Kind.HTTP_ROUTE_GROUP, namespace, name))


def _opened(mesh: Mesh, policy: Egress) -> tuple[Rule, ...]:
    """The rules of a policy for the sources that it speaks for."""
    setting = setting_of(mesh, policy) if policy.setting else None
    # Whoever asked for limits must not have anything opened without them.
    limited = policy.setting is None or (setting is not None and not setting.closed)
    if policy.closed or not limited:
        return mesh.query(_named, policy)
    matches = _matches(mesh, policy)
    searched = tuple(host for host in policy.hosts or () if _is_searched(mesh, host))
    opened = (
        Rule(
            policy=policy.label,
            port=number,
            protocol=protocol,
            hosts=_hosts(policy, protocol),
            ranges=policy.ranges,
            matches=matches if protocol is Protocol.HTTP else None,
            setting=setting,
            searched=searched,
        )
        for number, protocol in policy.ports
    )
    return (*opened, *_closed(policy, policy.closed_ports))


def _named(_mesh: Mesh, policy: Egress) -> tuple[Rule, ...]:
    """The rules of a policy, or for a source, of which something cannot be read."""
    return _closed(policy, (*policy.ports, *policy.closed_ports))


def _closed(policy: Egress, ports: Iterable[tuple[int, Protocol]]) -> tuple[Rule, ...]:
    """Rules at no address at all: they allow nothing, and their hosts stay named."""
    return tuple(
        Rule(policy.label, number, protocol, hosts, ranges=(), matches=None, setting=None)
        for number, protocol in ports
        if (hosts := _hosts(policy, protocol))
    )


def _is_searched(mesh: Mesh, host: str) -> bool:
    """True for `db`, `db.data` and `db.data.svc`, if there is a namespace `data`."""
    labels = host.split(".")
    if len(labels) == 2:
        return mesh.get(Kind.NAMESPACE, "", labels[1]) is not None
    return len(labels) == 1 or (len(labels) == 3 and labels[2] == "svc")


def _hosts(policy: Egress, protocol: Protocol) -> tuple[str, ...] | None:
    """Only HTTP and TLS say a host; TLS never says an address."""
    match protocol:
        case Protocol.HTTP:
            return policy.hosts
        case Protocol.HTTPS:
            named = policy.hosts
            return None if named is None else tuple(h for h in named if not is_numeric(h))
        case _:
            return None


def _matches(mesh: Mesh, policy: Egress) -> tuple[RequestMatch, ...] | None:
    """None without references; a group that is missing adds nothing."""
    if policy.route_groups is None:
        return None
    groups = [route_group(mesh, policy.namespace, name) for name in policy.route_groups]
    return tuple(match for group in groups if group for match in group.matches)
