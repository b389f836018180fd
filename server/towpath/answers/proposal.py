"""Proposals: the smallest policies that would allow many flows, grouped.

What shares hosts, ports and requests is one Egress, for all service accounts of one namespace that
need the same. Where a policy allows more than was reported, it says so. Each flow is judged by the
proposals before they are shown, as `explain` would judge it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from towpath.answers.suggest import LONGEST_PATH, nameable, quoted
from towpath.model.egress import ANY_METHOD, METHODS, RequestMatch
from towpath.model.names import Account, Protocol
from towpath.model.paths import ANY_PATH
from towpath.model.plan import Destinations, Outbound
from towpath.model.ports import OUTBOUND_PORT
from towpath.model.snapshot import content_hash
from towpath.observe.flow import Flow
from towpath.observe.flows import Counts
from towpath.planning.egress.decide import decide, foldable, malformed
from towpath.planning.egress.limits import admit
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule

MOST_PATHS = 50
"""How many paths of one host are proposed one by one."""

MANY_NAMES = 4
"""So many names below one parent are proposed as a pattern."""

_NO_PATHS = "Paths were not kept: every path."
_FOLDED = "A server may normalize a path to another one: every path."
_MANY_PATHS = "More paths were reported than are listed one by one: every path."
_LONG_PATH = "A path is too long for one expression: every path with its beginning."
_ODD_METHOD = "A method was reported that no policy can name: every method."


@dataclass(frozen=True, slots=True, order=True)
class Proposal:
    """One Egress, and for HTTP its HTTPRouteGroup. `remarks` say where it allows more than was
    reported; `patterns` are what could stand for many of its hosts, and would allow more.
    """

    namespace: str
    accounts: tuple[str, ...]
    protocol: Protocol
    ports: tuple[int, ...]
    hosts: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    matches: tuple[RequestMatch, ...] = ()
    remarks: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A name that Kubernetes takes; another proposal has another."""
        first = (self.hosts or self.ranges)[0].removesuffix("/32")
        word = re.sub(r"[^a-z0-9]+", "-", first.lower()).strip("-")[:40].strip("-")
        content = replace(self, remarks=(), patterns=())
        return f"allow-{word}-{self.ports[0]}-{content_hash(repr(content).encode())[:8]}"

    def rules(self) -> Iterator[Rule]:
        """What it would allow each of its accounts."""
        for port in self.ports:
            yield Rule(
                policy=f"{self.namespace}/{self.name}",
                port=port,
                protocol=self.protocol,
                hosts=self.hosts or None,
                ranges=self.ranges or None,
                matches=self.matches or None,
                setting=None,
            )


@dataclass(frozen=True, slots=True)
class Proposals:
    """Policies, sorted, and the flows that none of them allows, each with the reason."""

    proposals: tuple[Proposal, ...]
    left: tuple[tuple[Flow, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class _Need:
    """What one account needs at one host, or at one address."""

    host: str
    range: str
    protocol: Protocol
    ports: tuple[int, ...]
    matches: tuple[RequestMatch, ...]
    remarks: tuple[str, ...]


def propose(flows: Iterable[tuple[Flow, Counts]], *, wildcards: bool = False) -> Proposals:
    """Policies for these flows, of which each account is known.

    With *wildcards*, many names below one parent become a pattern, which says that it is wider.
    """
    items = list(flows)
    left: list[tuple[Flow, str]] = []
    by_account: dict[Account, _Needs] = defaultdict(_Needs)
    for flow, counts in items:
        if flow.account is None:
            left.append((flow, "it is not known whose it is"))
        elif reason := by_account[flow.account].add(flow, counts):
            left.append((flow, reason))
    proposals = tuple(sorted(_grouped(by_account, wildcards=wildcards)))
    impossible = {flow for flow, _ in left}
    left += _refused(proposals, [item for item in items if item[0] not in impossible])
    return Proposals(proposals, tuple(left))


class _Needs:
    """What one account needs: HTTP by host and port, TLS by host, all else by address."""

    def __init__(self) -> None:
        self._http: dict[tuple[str, int], set[tuple[str, str]]] = defaultdict(set)
        self._tls: dict[str, set[int]] = defaultdict(set)
        self._tcp: dict[str, set[int]] = defaultdict(set)

    def add(self, flow: Flow, counts: Counts) -> str:
        """Take a flow in; gives why no policy can allow all of it, "" if one can."""
        attempt = flow.attempt(None)
        if flow.port == OUTBOUND_PORT:
            return f"port {OUTBOUND_PORT} is the sidecar's own"
        if flow.protocol is Protocol.HTTP and (fault := malformed(attempt)):
            return fault
        host = nameable(attempt)
        if host and flow.protocol is Protocol.HTTP:
            self._http[host, flow.port].add((flow.method, flow.path))
            return ""
        if host:
            self._tls[host].add(flow.port)
            return ""
        addresses = [address for address, _ in counts if address is not None]
        for address in addresses:
            self._tcp[f"{address}/32"].add(flow.port)
        if len(addresses) < len(counts):
            return "no policy can name its host, and not all of its addresses were kept"
        return "" if addresses else "no policy can name its host, and its address is not known"

    def all(self) -> Iterator[_Need]:
        """Each host or address once for each set of ports on which the same is needed."""
        ports: dict[tuple[str, tuple[RequestMatch, ...], tuple[str, ...]], list[int]] = {}
        for (host, port), requests in sorted(self._http.items()):
            ports.setdefault((host, *_matches(requests)), []).append(port)
        for (host, matches, remarks), on in ports.items():
            yield _Need(host, "", Protocol.HTTP, tuple(on), matches, remarks)
        for host, numbers in self._tls.items():
            yield _Need(host, "", Protocol.HTTPS, tuple(sorted(numbers)), (), ())
        for range_, numbers in self._tcp.items():
            yield _Need("", range_, Protocol.TCP, tuple(sorted(numbers)), (), ())


def _matches(requests: set[tuple[str, str]]) -> tuple[tuple[RequestMatch, ...], tuple[str, ...]]:
    """The smallest matches for these methods and paths, and where they allow more."""
    remarks: set[str] = set()
    methods_of: dict[str, set[str]] = defaultdict(set)
    many = len({path for _, path in requests}) > MOST_PATHS
    for method, path in requests:
        regex, remark = (ANY_PATH, _MANY_PATHS) if many else _path(method, path)
        named = method in METHODS and method != ANY_METHOD
        methods_of[regex].add(method if named else ANY_METHOD)
        remarks |= {text for text in (remark, "" if named else _ODD_METHOD) if text}
    anywhere = methods_of.get(ANY_PATH, set())
    matches = {
        RequestMatch(regex, () if ANY_METHOD in methods else tuple(sorted(methods)))
        for regex, methods in methods_of.items()
        if regex == ANY_PATH or not (ANY_METHOD in anywhere or methods <= anywhere)
    }
    return tuple(sorted(matches)), tuple(sorted(remarks))


def _path(method: str, path: str) -> tuple[str, str]:
    """The smallest expression for a path, and what is to be said of it."""
    if method == "CONNECT":
        return ANY_PATH, ""
    if not path:
        return ANY_PATH, _NO_PATHS
    if foldable(path):
        return ANY_PATH, _FOLDED
    if len(path.encode()) > LONGEST_PATH:
        beginning = path.encode()[: LONGEST_PATH // 2].decode(errors="ignore")
        return f"{quoted(beginning)}.*", _LONG_PATH
    return quoted(path), ""


def _grouped(by_account: dict[Account, _Needs], *, wildcards: bool) -> Iterator[Proposal]:
    """One proposal for all hosts that need the same, and all accounts that need these."""
    accounts_of: dict[tuple[str, Proposal], list[str]] = defaultdict(list)
    for account, needs in sorted(by_account.items()):
        places: dict[_Need, list[_Need]] = defaultdict(list)
        for need in needs.all():
            places[replace(need, host="", range="")].append(need)
        for shared, members in places.items():
            proposal = Proposal(
                namespace=account.namespace,
                accounts=(),
                protocol=shared.protocol,
                ports=shared.ports,
                hosts=tuple(sorted(need.host for need in members if need.host)),
                ranges=tuple(sorted(need.range for need in members if need.range)),
                matches=shared.matches,
                remarks=shared.remarks,
            )
            accounts_of[account.namespace, proposal].append(account.name)
    for (_, proposal), names in accounts_of.items():
        complete = replace(proposal, accounts=tuple(names))
        yield _with_patterns(complete) if wildcards else _naming_patterns(complete)


def _naming_patterns(proposal: Proposal) -> Proposal:
    patterns = (f"*.{parent} ({len(names)} names)" for parent, names in _families(proposal.hosts))
    return replace(proposal, patterns=tuple(patterns))


def _with_patterns(proposal: Proposal) -> Proposal:
    families = _families(proposal.hosts)
    below = {name for _, names in families for name in names}
    hosts = {*(set(proposal.hosts) - below), *(f"*.{parent}" for parent, _ in families)}
    remarks = (
        f"*.{parent} stands for {len(names)} names, and allows every name below {parent}."
        for parent, names in families
    )
    return replace(
        proposal, hosts=tuple(sorted(hosts)), remarks=tuple(sorted({*proposal.remarks, *remarks}))
    )


def _families(hosts: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Parents below which there are many of the names; none that may be a public suffix."""
    by_parent: dict[str, list[str]] = defaultdict(list)
    for host in hosts:
        _, _, parent = host.partition(".")
        by_parent[parent].append(host)
    return [
        (parent, names)
        for parent, names in sorted(by_parent.items())
        if len(names) >= MANY_NAMES and not _may_be_suffix(parent)
    ]


def _may_be_suffix(parent: str) -> bool:
    """True for `com` and `co.uk`, below which names belong to anybody; also for addresses."""
    labels = parent.split(".")
    if labels[-1].isdecimal() or len(labels) == 1:
        return True
    return len(labels) == 2 and len(labels[0]) <= len("com") and len(labels[1]) == len("uk")


def _refused(
    proposals: tuple[Proposal, ...], flows: Iterable[tuple[Flow, Counts]]
) -> Iterator[tuple[Flow, str]]:
    """The flows that the proposals, alone, would not allow."""
    plans: dict[Account, Outbound] = {}
    for flow, counts in flows:
        account = flow.account
        if account is None:
            continue
        if account not in plans:
            plans[account] = _plan(proposals, account)
        decisions = [decide(plans[account], flow.attempt(address)) for address, _ in counts]
        refused = next((one for one in decisions if not one.allowed), None)
        if refused is not None:
            yield flow, f"too large for the policies of one account: {refused.reasons[-1]}"


def _plan(proposals: Iterable[Proposal], account: Account) -> Outbound:
    rules = tuple(
        rule
        for proposal in proposals
        if proposal.namespace == account.namespace and account.name in proposal.accounts
        for rule in proposal.rules()
    )
    admitted = admit(rules, account.namespace, False).rules  # noqa: FBT003 (work's argument)
    return Outbound(
        destinations=Destinations(),
        passthrough=False,
        egress=egress_plan(admitted, passthrough=False),
    )
