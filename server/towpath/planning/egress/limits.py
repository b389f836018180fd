"""What the policies of one service account may come to, and which are closed beyond that.

What an address range allows is written into each one inside it, and what a pattern allows into
each host under it. So the plan can be far larger than the policies; how large is counted before
it is made.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from towpath.model.mesh import Mesh
from towpath.model.names import Account, Protocol
from towpath.planning.config import config
from towpath.planning.egress.hosts import Named
from towpath.planning.egress.ranges import by_owners, owned
from towpath.planning.egress.rules import Rule, Speaking, by_ranges, needed, rules_of, speaking
from towpath.planning.entries import of_request

MOST_ENTRIES = 50_000
"""How many entries a service account's plan may have.

An entry is a range, for each filter chain that has it, or a host, for each request that is allowed
for it, in each address range; a request with headers or long texts counts for more.
"""

Sizes = Mapping[int, int]
"""How many entries it takes to say the matches of rules, by the identity of these: the rules of a
policy share them, and they are counted once.
"""


@dataclass(frozen=True, slots=True)
class Admission:
    """The rules that are planned for one service account, and the policies that are closed.

    The hosts of a closed policy stay named; where that would be too many entries alone,
    `passthrough` is off, since what they are cannot be told from the rest.
    """

    rules: tuple[Rule, ...]
    passthrough: bool
    closed: tuple[str, ...] = ()


def admission(mesh: Mesh, account: Account) -> Admission:
    """What is planned for the account of all that policies say."""
    return mesh.query(admission_of, account.namespace, mesh.query(speaking, account))


def admission_of(mesh: Mesh, namespace: str, policies: Speaking) -> Admission:
    """What is planned of these policies for any service account of that namespace."""
    all_rules = mesh.query(rules_of, policies)
    return mesh.work(size(all_rules), admit, all_rules, namespace, config(mesh).enable_egress)


def size(rules: Iterable[Rule], sizes: Sizes | None = None) -> int:
    """How much the rules say, whatever comes of it; without *sizes* a request counts for one, as
    whoever asks whether that is much does not wait until they are read.
    """

    def requests(rule: Rule) -> int:
        return _requests(rule, sizes) if sizes is not None else max(1, len(rule.matches or ()))

    return sum(len(rule.ranges or ()) + requests(rule) * len(rule.hosts or ()) for rule in rules)


def admit(
    rules: tuple[Rule, ...],
    namespace: str,
    passthrough: bool,  # noqa: FBT001 (work's argument)
) -> Admission:
    """Open as many policies as there is room for.

    Those of the account's own *namespace* come first, of them the smaller, so that what is far
    too large is what is closed, in whatever order policies come.
    """
    sizes = _sizes(rules)
    if _fit(rules, sizes, passthrough=passthrough):
        return Admission(rules, passthrough)
    by_policy: dict[str, list[Rule]] = {}
    for rule in rules:
        by_policy.setdefault(rule.policy, []).append(rule)
    order = sorted(by_policy, key=lambda policy: (size(by_policy[policy], sizes), policy))
    own = [policy for policy in order if policy.startswith(f"{namespace}/")]
    others = [policy for policy in order if not policy.startswith(f"{namespace}/")]
    through = passthrough and _fit(_with(rules, ()), sizes, passthrough=True)
    opened: list[str] = []
    for group in (own, others):
        opened += group[: _room(rules, sizes, opened, group, passthrough=through)]
    if len(opened) == len(order):
        # Passthrough alone was too much, for the hosts that it must not let out: one policy has to
        # say so, the largest, and best of those that open nothing and only name their hosts.
        largest = reversed(order)
        opened.remove(next((one for one in largest if _names(by_policy[one])), order[-1]))
    left = _with(rules, opened) if through else _only(rules, opened)
    return Admission(left, through, tuple(sorted(by_policy.keys() - set(opened))))


def _room(
    rules: tuple[Rule, ...],
    sizes: Sizes,
    opened: list[str],
    group: Sequence[str],
    *,
    passthrough: bool,
) -> int:
    """How many of a group, in its order, fit beside those that are opened."""

    def too_many(last: int) -> bool:
        wanted = (*opened, *group[: last + 1])
        left = _with(rules, wanted) if passthrough else _only(rules, wanted)
        return not _fit(left, sizes, passthrough=passthrough)

    return bisect_left(range(len(group)), True, key=too_many)  # noqa: FBT003 (what is looked for)


def _names(rules: Iterable[Rule]) -> bool:
    """True if a policy of these only names its hosts, as it has no range that can be read."""
    return all(rule.ranges == () for rule in rules)


def _with(rules: Iterable[Rule], opened: Collection[str]) -> tuple[Rule, ...]:
    """The rules, of which those of other policies than *opened* only name their hosts."""
    labels = set(opened)
    return tuple(
        rule if rule.policy in labels else replace(rule, ranges=(), matches=None, setting=None)
        for rule in rules
        if rule.policy in labels or rule.hosts
    )


def _only(rules: Iterable[Rule], opened: Collection[str]) -> tuple[Rule, ...]:
    labels = set(opened)
    return tuple(rule for rule in rules if rule.policy in labels)


def _sizes(rules: Iterable[Rule]) -> Sizes:
    matches = {id(rule.matches): rule.matches for rule in rules if rule.matches}
    return {key: sum(map(of_request, meant)) for key, meant in matches.items()}


def _requests(rule: Rule, sizes: Sizes) -> int:
    """How many entries it takes to say for which requests a host is allowed."""
    return sizes[id(rule.matches)] if rule.matches else 1


def _fit(rules: Iterable[Rule], sizes: Sizes, *, passthrough: bool) -> bool:
    """True if a plan of these rules has no more than `MOST_ENTRIES` entries."""
    by_port: dict[int, list[Rule]] = {}
    for rule in rules:
        by_port.setdefault(rule.port, []).append(rule)
    left = MOST_ENTRIES
    for on_port in by_port.values():
        left -= _entries(needed(on_port), sizes, passthrough=passthrough, most=left)
        if left < 0:
            return False
    return True


def _entries(rules: list[Rule], sizes: Sizes, *, passthrough: bool, most: int) -> int:
    """How many entries one port has; beyond *most* it is only known that there are more."""
    least = sum(
        _requests(rule, sizes) * len(rule.hosts or ()) for rule in rules if rule.ranges != ()
    )
    if least > most:
        return least
    named = {
        protocol: Named(rule for rule in rules if rule.protocol is protocol)
        for protocol in (Protocol.HTTP, Protocol.HTTPS)
    }

    def copies(rule: Rule) -> int:
        if rule.hosts is None:
            return 1
        under = named[rule.protocol].under
        return 1 + _requests(rule, sizes) * sum(len(under[host]) for host in rule.hosts)

    anywhere, within = by_ranges(rules)
    of_ranges = [sum(map(copies, group)) for group in within.values()]
    refused = sum(len(one.hosts) for one in named.values()) if passthrough else 0
    in_each = refused + sum(map(copies, anywhere))
    chains = _chains(rules, anywhere, named[Protocol.HTTPS])
    total = in_each + chains
    address_ranges = set()
    owners_of = owned((range_, i) for i, ranges in enumerate(within) for range_ in ranges)
    for _, owners in by_owners(owners_of):
        total += chains
        if owners not in address_ranges:
            address_ranges.add(owners)
            total += in_each + sum(of_ranges[i] for i in owners)
        if total > most:
            break
    return total


def _chains(rules: list[Rule], anywhere: list[Rule], tls: Named) -> int:
    """How many filter chains an address range of the port may have."""
    protocols = set(map(attrgetter("protocol"), rules))
    by_name = {
        host
        for rule in anywhere
        if rule.protocol is Protocol.HTTPS and rule.ranges is None
        for host in rule.hosts or ()
    }
    looked_at = 2 * bool(tls.hosts) + (Protocol.HTTP in protocols)
    raw = protocols - {Protocol.HTTP} and any(rule.hosts is None for rule in rules)
    return len(by_name) + looked_at + bool(raw) * (2 if looked_at else 1)
