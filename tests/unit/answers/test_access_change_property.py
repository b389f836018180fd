"""What is said to change does change: for any two plans and any attempt, as `decide` has it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from support.egress_rules import MATCHES, PORTS, SAID, rules
from support.examples import examples
from towpath.answers.access_change import AccessTarget, Change, Direction, changed_outside
from towpath.model.names import Protocol
from towpath.model.plan import Destinations, Outbound
from towpath.planning.egress.decide import Attempt, decide, matches
from towpath.planning.egress.hosts import covers
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule

Pair = tuple[Outbound, Outbound]

REQUESTS = tuple(product(("GET", "PUT"), ("/a", "/b", "/c?a=/a")))
PLACES = tuple(product((None, "10.1.1.1", "10.2.0.1"), PORTS))
ATTEMPTS = (
    *(Attempt(*place, Protocol.TCP) for place in PLACES),
    *(Attempt(*place, Protocol.HTTPS, host) for place, host in product(PLACES, SAID)),
    *(
        Attempt(*place, Protocol.HTTP, host, *request)
        for place, host, request in product(PLACES, SAID, REQUESTS)
    ),
)


def _plan(of: list[Rule], passthrough: bool) -> Outbound:  # noqa: FBT001 (as drawn)
    opened = egress_plan(tuple(of), passthrough=passthrough)
    return Outbound(Destinations(), passthrough, opened)


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    """Two plans that have most rules in common, often of one port and host."""
    common = draw(st.lists(rules(), max_size=3))
    first, second = draw(rules()), draw(rules())
    if draw(st.booleans()):
        first = replace(first, protocol=Protocol.HTTP, hosts=("a.test",))
        second = replace(second, protocol=Protocol.HTTP, hosts=("a.test",), port=first.port)
    if draw(st.booleans()):
        second = replace(second, ranges=first.ranges)
    before = [*common, *draw(st.sampled_from(([first], [])))]
    after = [*common, *draw(st.sampled_from(([second], [first, second], [])))]
    switch = draw(st.booleans())
    return _plan(before, switch), _plan(after, switch if draw(st.booleans()) else not switch)


@settings(max_examples=examples(150))
@given(pairs())
def test_an_attempt_that_only_one_side_allows_is_among_the_changes(
    pair: Pair,
) -> None:
    before, after = pair
    found = [one.change for one in changed_outside(before, after)]
    for attempt in ATTEMPTS:
        old, new = decide(before, attempt).allowed, decide(after, attempt).allowed
        if old != new:
            direction = Direction.GAINS if new else Direction.LOSES
            assert any(one.direction is direction and _is_about(one, attempt) for one in found)


@settings(max_examples=examples(150))
@given(pairs())
def test_what_is_gained_is_allowed_after_and_what_is_lost_was_allowed_before(
    pair: Pair,
) -> None:
    """As far as an attempt is of the very place; the rest of a wider one may be told otherwise."""
    before, after = pair
    for change in (one.change for one in changed_outside(before, after)):
        gained = change.direction is Direction.GAINS
        more, less = (after, before) if gained else (before, after)
        for attempt in ATTEMPTS:
            if _is_about(change, attempt) and _is_in(change.target, attempt):
                assert decide(more, attempt).allowed
                if not _overlap(change, attempt):
                    assert not decide(less, attempt).allowed


def test_equal_plans_differ_in_nothing() -> None:
    plan = Outbound(Destinations(), passthrough=True)
    assert [] == list(changed_outside(plan, plan))


def _is_about(change: Change, attempt: Attempt) -> bool:
    """True if the attempt is somewhere in what the change speaks of."""
    target = change.target
    if not target.port:
        return True
    return (
        attempt.port == target.port
        and target.protocol in (attempt.protocol, Protocol.TCP)
        and (not target.block or _within(target.block, attempt.address))
        and (not target.host or covers(target.host, attempt.host))
        and (attempt.protocol is not Protocol.HTTP or matches(change.request, attempt))
    )


def _is_in(target: AccessTarget, attempt: Attempt) -> bool:
    """True if no other place can be nearer to the attempt."""
    said = Protocol.TCP if target.protocol == Protocol.TCP else target.host == attempt.host
    exact = attempt.protocol is said if said is Protocol.TCP else bool(said)
    return bool(target.port) and exact and target.block == "" and attempt.address is None


def _overlap(change: Change, attempt: Attempt) -> bool:
    """True if another expression matches the attempt as well, which nothing can prove."""
    others = (match for match in MATCHES if match != change.request)
    http = attempt.protocol is Protocol.HTTP
    return http and any(matches(match, attempt) for match in (*change.but, *others))


def _within(block: str, address: str | None) -> bool:
    return address is not None and IPv4Address(address) in IPv4Network(block)
