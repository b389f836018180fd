"""The oracle of egress: what is allowed, straight from what each rule says, without any merging.

It knows nothing of address ranges, chains or routes: one rule after the other is asked, and then
passthrough. What the product computes must come to the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from urllib.parse import unquote

from towpath.model.egress import RequestMatch
from towpath.model.names import Protocol
from towpath.planning.egress.decide import Attempt
from towpath.planning.egress.rules import Rule

BYTES = (Protocol.TCP, Protocol.TCP_SERVER_FIRST)


def allowed(rules: Iterable[Rule], attempt: Attempt, *, passthrough: bool) -> bool:
    """True if any rule allows the attempt, or passthrough does and no rule names its host."""
    on_port = [rule for rule in rules if rule.port == attempt.port]
    if looked_at(on_port, attempt, passthrough=passthrough) and not well_formed(attempt):
        return False
    if any(allows(rule, attempt) for rule in on_port):
        return True
    return passthrough and not any(names(rule, attempt) for rule in on_port)


def looked_at(on_port: Iterable[Rule], attempt: Attempt, *, passthrough: bool) -> bool:
    """True if some rule makes the sidecar read HTTP here; none does on a port that is all open."""
    rules = list(on_port)
    if attempt.protocol is not Protocol.HTTP or any(map(_opens_all, rules)):
        return False
    http = [rule for rule in rules if rule.protocol is Protocol.HTTP and rule.hosts]
    return any(passthrough or _in_range(rule, attempt) for rule in http)


def _opens_all(rule: Rule) -> bool:
    anywhere = rule.ranges is None or "0.0.0.0/0" in rule.ranges
    return rule.protocol is Protocol.TCP_SERVER_FIRST and anywhere


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
    return any(_asks_for(match, attempt) for match in rule.matches)


def _asks_for(match: RequestMatch, attempt: Attempt) -> bool:
    path = attempt.path.partition("?")[0]
    if match.methods and attempt.method not in match.methods:
        return False
    if match.path != ".*" and (attempt.method == "CONNECT" or not in_normal_form(path)):
        return False
    headers = {"host": attempt.host, **{name.lower(): value for name, value in attempt.headers}}
    return re.fullmatch(match.path, path) is not None and all(
        re.fullmatch(wanted, headers.get(name, "-absent-")) for name, wanted in match.headers
    )


def in_normal_form(path: str) -> bool:
    """True if no server can make another path of it."""
    decoded = path
    while (again := unquote(decoded)) != decoded:
        decoded = again
    suspicious = any(mark in decoded for mark in ("//", ";", "\\", "\0"))
    escaped = decoded.count("/") != path.count("/") or decoded.count(".") != path.count(".")
    segments = decoded.split("/")[1:]
    return not (suspicious or escaped or any(s and not s.strip(".") for s in segments))


def well_formed(attempt: Attempt) -> bool:
    """True for a request that a sidecar takes for HTTP at all."""
    if attempt.method == "CONNECT":
        return attempt.host.partition(":")[2].isdigit()
    return re.fullmatch(r"/[!-~]*", attempt.path) is not None and "#" not in attempt.path


def names(rule: Rule, attempt: Attempt) -> bool:
    """True if the rule speaks of the host that the attempt says, by the same protocol."""
    host_name = attempt.host.lower()
    if rule.protocol is Protocol.HTTP:
        name, _, port = host_name.partition(":")
        host_name = name.removesuffix(".") if port in ("", str(attempt.port)) else host_name
    return rule.protocol is attempt.protocol and any(
        _fits(host_name, host) for host in rule.hosts or ()
    )


def _fits(text: str, host: str) -> bool:
    if host.startswith("*."):
        return text.endswith(host[1:]) and len(text) > len(host) - 1
    return text == host


def _in_range(rule: Rule, attempt: Attempt) -> bool:
    if rule.ranges is None or "0.0.0.0/0" in rule.ranges:
        return True
    return attempt.address is not None and any(
        IPv4Address(attempt.address) in IPv4Network(range_) for range_ in rule.ranges
    )
