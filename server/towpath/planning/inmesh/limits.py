"""How much in-mesh policies may come to, and which are closed beyond that.

A target is written into each port that it grants something on, with all of its callers and
requests, a split into each port of its root, for each request and backend, and a rate limit into
each port of its Service, for each path that has its own. So a few manifests could ask for far more
than they say; how much is counted before any of it is made, in `entries`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from towpath.model.egress import RequestMatch, UpstreamTrafficSetting
from towpath.model.mesh import Mesh
from towpath.model.names import Account, Protocol
from towpath.model.paths import ANY_PATH
from towpath.model.plan import Ingress
from towpath.planning.entries import of_limits, of_request, of_texts
from towpath.planning.inmesh.grants import callers, grant_of, targets_of

MOST_ENTRIES = 200_000
"""How many entries the sidecar of a pod may have of TrafficTargets, and as many of IngressBackends.

An entry is a caller's address or name, a request, or a header of one, on each port; a long text
counts for more.
"""

CHAIN = 10
"""How many entries an address counts for where bytes are let in: it has a filter chain there."""

FOLDING = 2
"""How many entries a request counts for beside its own, where it has a path: with that stands which
paths a server may take for another.
"""

MOST_LIMITS = 50_000
"""How many entries of rate limits the sidecar of a pod may have, on all of its ports."""

MOST_SHARES = 50_000
"""How many shares the TrafficSplits of a namespace may have: a backend's, for each request that is
meant, on each port of the root; the headers and the texts of a request are counted as entries.
"""


def closed_targets(
    mesh: Mesh, account: Account, http: frozenset[int], others: frozenset[int]
) -> frozenset[str]:
    """The targets for which a pod of the account with these ports has no room, by their labels;
    *http* are those where requests are seen.
    """
    sizes = {}
    for target in targets_of(mesh, account):
        grant, (addresses, names) = mesh.query(grant_of, target), mesh.query(callers, target)
        on_http = len(http if grant.all_requests else http & grant.ports)
        on_others = len(others if grant.all_bytes else others & grant.ports)
        each = len(addresses) + of_texts(names) + sum(map(_of_grant, grant.requests))
        # Whether it grants anything there is asked for each port of each target.
        looks = len(http) + len(others)
        sizes[target.label] = looks + on_http * each + on_others * CHAIN * len(addresses)
    return without_room(sizes, MOST_ENTRIES)


def closed_ingress(entries: Iterable[Ingress]) -> frozenset[str]:
    """The IngressBackends for which a pod has no room that has these on its ports."""
    sizes: Counter[str] = Counter()
    for one in entries:
        sizes[one.policy] += 1 + len(one.ranges) + of_texts(one.names) + of_texts(one.hosts)
    return without_room(sizes, MOST_ENTRIES)


def closed_limits(
    limiting: Iterable[tuple[UpstreamTrafficSetting, Protocol]],
) -> frozenset[str]:
    """The settings for which a pod has no room, by their labels. Of each of its ports that is
    limited come the setting that holds there, and what it speaks.
    """
    settings: dict[str, UpstreamTrafficSetting] = {}
    ports: Counter[tuple[str, bool]] = Counter()
    for setting, protocol in limiting:
        settings[setting.label] = setting
        ports[setting.label, protocol is Protocol.HTTP] += 1
    sizes: Counter[str] = Counter()
    for (label, requests), number in ports.items():
        sizes[label] += number * of_limits(settings[label].limits, requests=requests)
    return without_room(sizes, MOST_LIMITS)


def without_room(sizes: Mapping[str, int], most: int) -> frozenset[str]:
    """Those for which nothing is left of *most* when the others have theirs, the smallest first:
    so what is far too large is what is closed, in whatever order policies come.
    """
    left, closed = most, set()
    for name in sorted(sizes, key=lambda name: (sizes[name], name)):
        if sizes[name] <= left:
            left -= sizes[name]
        else:
            closed.add(name)
    return frozenset(closed)


def _of_grant(match: RequestMatch) -> int:
    """What a request takes that a target grants."""
    return of_request(match) + FOLDING * (match.path != ANY_PATH)
