"""Where rules lead, and with which connection settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from towpath.model.egress import ConnectionSettings, UpstreamTrafficSetting
from towpath.model.egress_plan import EgressTarget, Resolution
from towpath.planning.egress.rules import Rule


def target_name(rule: Rule, pattern: str | None) -> str:
    """The name of the target that a rule leads to for one of its hosts (None: it has none).

    A rule with ranges keeps the address that was dialled, which it has checked; any other host
    is looked up, so that an allowed name never is a way to an address the client chose.
    """
    if pattern is None or rule.ranges is not None:
        return str(rule.port)
    return f"{pattern}:{rule.port}"


def targets(rules: Iterable[Rule]) -> tuple[EgressTarget, ...]:
    """Every target that the rules lead to, by name."""
    by_name = {}
    rules = tuple(rules)
    searched = {host for rule in rules for host in rule.searched}
    for name, leading in _by_name(rules).items():
        host, resolution = _resolution(name)
        winner = preferred(rule.setting for rule in leading)
        settings = winner.settings if winner else ConnectionSettings()
        by_name[name] = EgressTarget(
            name, resolution, host, leading[0].port, settings, host in searched
        )
    return tuple(by_name[name] for name in sorted(by_name))


@dataclass(frozen=True, slots=True)
class Contest:
    """Settings that differ about one target: the one that holds, and those that do not."""

    target: str
    winner: UpstreamTrafficSetting
    losers: tuple[UpstreamTrafficSetting, ...]


def contests(rules: Iterable[Rule]) -> tuple[Contest, ...]:
    """Targets that several settings want."""
    limited = [rule for rule in rules if rule.setting is not None]
    result = []
    for name, leading in sorted(_by_name(limited).items()):
        wanted = {rule.setting for rule in leading if rule.setting}
        winner = preferred(wanted)
        if winner is not None and len(wanted) > 1:
            losers = sorted(wanted - {winner}, key=lambda s: (s.namespace, s.name))
            result.append(Contest(name, winner, tuple(losers)))
    return tuple(result)


def preferred(
    settings: Iterable[UpstreamTrafficSetting | None],
) -> UpstreamTrafficSetting | None:
    """The setting that holds: the oldest if all say when they were made, else by name."""
    wanted = [setting for setting in settings if setting is not None]
    dated = all(setting.created for setting in wanted)
    return min(
        wanted,
        key=lambda s: (s.created if dated else "", s.namespace, s.name),
        default=None,
    )


def _by_name(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    by_name: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.ranges == ():
            continue
        for pattern in (None,) if rule.hosts is None else rule.hosts:
            by_name.setdefault(target_name(rule, pattern), []).append(rule)
    return by_name


def _resolution(name: str) -> tuple[str, Resolution]:
    host, _, _ = name.rpartition(":")
    if not host:
        return "", Resolution.ADDRESS
    return host, Resolution.PATTERN if host.startswith("*.") else Resolution.NAME
