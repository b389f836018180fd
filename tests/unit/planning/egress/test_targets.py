"""Where rules lead, and which of several settings holds there."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.objects import egress, mesh_config, mesh_of, namespace, setting
from towpath.model.egress import UpstreamTrafficSetting
from towpath.model.egress_plan import Resolution
from towpath.model.names import Account, Protocol
from towpath.planning import outbound
from towpath.planning.egress.rules import Rule
from towpath.planning.egress.targets import contests, preferred, target_name, targets

A = setting("a", max_connections=1)
B = setting("b", max_connections=2)
OLD = setting("z", created="2020-01-01T00:00:00Z", max_connections=3)
NEW = setting("a", created="2021-01-01T00:00:00Z", max_connections=4)
ELSEWHERE = setting("a", in_namespace="bank", max_connections=5)


def _rule(
    *hosts: str,
    protocol: Protocol = Protocol.HTTP,
    ranges: tuple[str, ...] | None = None,
    held: UpstreamTrafficSetting | None = None,
) -> Rule:
    return Rule("p/x", 80, protocol, hosts or None, ranges, None, held)


@pytest.mark.parametrize(
    ("rule", "pattern", "name"),
    [
        (_rule("a.test"), "a.test", "a.test:80"),
        (_rule("*.a.test"), "*.a.test", "*.a.test:80"),
        (_rule("a.test", ranges=("10.0.0.0/8",)), "a.test", "80"),
        (_rule(protocol=Protocol.TCP), None, "80"),
        (_rule(protocol=Protocol.HTTPS), None, "80"),
    ],
)
def test_a_target_is_named_for_what_is_kept(rule: Rule, pattern: str | None, name: str) -> None:
    assert target_name(rule, pattern) == name


def test_each_target_is_reached_in_one_way() -> None:
    rules = (_rule("a.test", "*.b.test"), _rule(protocol=Protocol.TCP), _rule("a.test"))
    found = [(e.name, e.resolution, e.host, e.port) for e in targets(rules)]

    assert found == [
        ("*.b.test:80", Resolution.PATTERN, "*.b.test", 80),
        ("80", Resolution.ADDRESS, "", 80),
        ("a.test:80", Resolution.NAME, "a.test", 80),
    ]


def test_a_rule_that_matches_nothing_leads_nowhere() -> None:
    rule = Rule("p/x", 80, Protocol.HTTPS, (), None, None, A)

    assert targets((rule,)) == ()
    assert contests((rule,)) == ()


def test_one_of_several_settings_holds_and_all_others_lose() -> None:
    rules = [_rule("a.test", held=held) for held in (B, ELSEWHERE, A, A, None)]
    (contest,) = contests(rules)

    assert (contest.target, contest.winner) == ("a.test:80", ELSEWHERE)
    assert contest.losers == (A, B)
    assert targets(rules)[0].settings == ELSEWHERE.settings


def test_settings_of_different_targets_do_not_meet() -> None:
    rules = (_rule("a.test", held=A), _rule("b.test", held=B))

    assert contests(rules) == ()
    assert [e.settings.max_connections for e in targets(rules)] == [1, 2]


def test_a_setting_may_hold_at_one_target_and_lose_at_another() -> None:
    rules = (_rule("a.test", held=A), _rule("a.test", "b.test", held=B))
    (contest,) = contests(rules)

    assert (contest.target, contest.losers) == ("a.test:80", (B,))
    assert [e.settings.max_connections for e in targets(rules)] == [1, 2]


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ((), None),
        ((None,), None),
        ((None, B), B),
        ((B, A), A),
        ((A, ELSEWHERE), ELSEWHERE),  # bank before shop
        ((NEW, OLD), OLD),
        ((NEW, OLD, B), NEW),  # one has no date: then only names count, and NEW is called a
    ],
)
def test_the_oldest_holds_if_all_have_dates_else_the_first_by_name(
    wanted: tuple[UpstreamTrafficSetting | None, ...], holds: UpstreamTrafficSetting | None
) -> None:
    assert preferred(wanted) == holds


@given(order=st.randoms())
def test_the_order_of_rules_does_not_matter(order: random.Random) -> None:
    rules = [_rule("a.test", "b.test", held=held) for held in (A, B, ELSEWHERE, None)]
    shuffled = list(rules)
    order.shuffle(shuffled)

    assert targets(shuffled) == targets(rules)
    assert contests(shuffled) == contests(rules)


def test_names_that_a_pod_completes_are_looked_up_by_its_search_list() -> None:
    hosts = ("db", "db.data", "db.data.svc", "db.data.svc.cluster.local", "httpbin.org")
    other = namespace("data", mesh=None)
    mesh = mesh_of(namespace(), other, mesh_config(policies=True), egress(hosts=hosts))
    found = outbound(mesh, Account("shop", "default")).egress.targets

    assert {e.host for e in found if e.searched} == {"db", "db.data", "db.data.svc"}
    assert len(found) == len(hosts)
