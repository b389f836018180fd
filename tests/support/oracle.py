"""The oracle of egress: what is allowed, straight from what each rule says, without any merging.

It knows nothing of zones, chains or routes: one rule after the other is asked, and then
passthrough. What the product computes must come to the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from towpath.model.names import Protocol
from towpath.planning.egress.decide import Attempt
from towpath.planning.egress.rules import Rule

BYTES = (Protocol.TCP, Protocol.TCP_SERVER_FIRST)


def allowed(rules: Iterable[Rule], attempt: Attempt, *, passthrough: bool) -> bool:
    """True if any rule allows the attempt, or passthrough does and no rule names its host."""
    on_port = [rule for rule in rules if rule.port == attempt.port]
    if any(allows(rule, attempt) for rule in on_port):
        return True
    return passthrough and not any(names(rule, attempt) for rule in on_port)


def allows(rule: Rule, attempt: Attempt) -> bool:
    """True if this rule, alone, lets the attempt out."""
    if not _in_range(rule, attempt):
        return False
    if rule.protocol in BYTES:
        return True
    if rule.protocol is not attempt.protocol:
        return False
    if rule.protocol is Protocol.HTTPS and rule.hosts is None:
        return True
    if not names(rule, attempt):
        return False
    if rule.protocol is Protocol.HTTPS or rule.matches is None:
        return True
    path = attempt.path.partition("?")[0]
    return any(
        re.fullmatch(match.path, path) and (not match.methods or attempt.method in match.methods)
        for match in rule.matches
    )


def names(rule: Rule, attempt: Attempt) -> bool:
    """True if the rule speaks of the host that the attempt says, by the same protocol."""
    return rule.protocol is attempt.protocol and any(
        _fits(attempt.host.lower(), host) for host in rule.hosts or ()
    )


def _fits(said: str, host: str) -> bool:
    if host.startswith("*."):
        return said.endswith(host[1:]) and len(said) > len(host) - 1
    return said == host


def _in_range(rule: Rule, attempt: Attempt) -> bool:
    if rule.ranges is None or "0.0.0.0/0" in rule.ranges:
        return True
    return attempt.address is not None and any(
        IPv4Address(attempt.address) in IPv4Network(range_) for range_ in rule.ranges
    )
