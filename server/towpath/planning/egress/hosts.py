"""The hosts that rules name, and which patterns cover which host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from towpath.planning.egress.rules import Rule


def covers(pattern: str, host: str) -> bool:
    """True if every name that *host* (a name, or a pattern) stands for fits *pattern*."""
    if not pattern.startswith("*."):
        return pattern == host
    below = pattern[1:]
    return host.endswith(below) and len(host) > len(below)


def policies_of(rules: Iterable[Rule]) -> tuple[str, ...]:
    """The policies that these rules are of, sorted."""
    return tuple(sorted({rule.policy for rule in rules}))


class Named:
    """What rules of one protocol name on one port.

    A host may be a name, or a pattern `*.example.com`, which other hosts may fit in turn.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._policies: dict[str, set[str]] = {}
        for rule in rules:
            for host in rule.hosts or ():
                self._policies.setdefault(host, set()).add(rule.policy)

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """All of them, sorted."""
        return tuple(sorted(self._policies))

    @cached_property
    def around(self) -> dict[str, tuple[str, ...]]:
        """For each host those that cover it: itself, then the patterns, the most exact first."""
        policies = self._policies
        return {
            host: (host, *(pattern for pattern in _patterns(host) if pattern in policies))
            for host in self.hosts
        }

    @cached_property
    def under(self) -> dict[str, list[str]]:
        """For each host those that it covers, itself among them."""
        by_pattern: dict[str, list[str]] = {host: [] for host in self.hosts}
        for host, patterns in self.around.items():
            for pattern in patterns:
                by_pattern[pattern].append(host)
        return by_pattern

    @cached_property
    def policies(self) -> dict[str, tuple[str, ...]]:
        """For each host the policies that name it, or a pattern around it."""
        return {
            host: tuple(sorted({policy for one in around for policy in self._policies[one]}))
            for host, around in self.around.items()
        }

    def covered(self, patterns: Iterable[str]) -> list[str]:
        """The hosts that any of *patterns*, which are named themselves, covers; sorted."""
        return sorted({host for pattern in patterns for host in self.under[pattern]})


def _patterns(host: str) -> Iterator[str]:
    """The patterns that *host* could fit, without itself, the most exact first."""
    dot = host.find(".", 2 if host.startswith("*.") else 0)
    while dot >= 0:
        yield f"*{host[dot:]}"
        dot = host.find(".", dot + 1)
