"""What policies come to is counted first, and what is far too large is closed, alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.egress_rules import attempts, rules
from support.examples import examples
from support.objects import egress, mesh_config, mesh_of, namespace
from support.oracle import allowed
from towpath.model.codes import Reason
from towpath.model.egress import RequestMatch
from towpath.model.egress_plan import EgressPlan
from towpath.model.names import Account, Protocol
from towpath.model.plan import Destinations, Outbound
from towpath.planning import outbound, problems
from towpath.planning.egress import limits
from towpath.planning.egress.decide import Attempt, decide
from towpath.planning.egress.limits import MOST_ENTRIES, Admission, admit
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule

MANY = 5_000
SHOP = "shop"
PATHS = tuple(RequestMatch(f"/{n}") for n in range(50))


def ranges(count: int) -> tuple[str, ...]:
    return tuple(f"10.{n >> 8}.{n & 255}.0/24" for n in range(count))


def hosts(count: int, of: str = "example.com") -> tuple[str, ...]:
    return tuple(f"h{n}.{of}" for n in range(count))


def rule(policy: str = "shop/a", protocol: Protocol = Protocol.HTTP, **fields: object) -> Rule:
    whole = Rule(policy, 80, protocol, hosts=None, ranges=None, matches=None, setting=None)
    return replace(whole, **fields)  # type: ignore[arg-type]


def entries(opened: EgressPlan) -> int:
    """How many ranges, hosts, routes and server names all address ranges have together."""
    return sum(
        len(address_range.ranges)
        + sum(max(1, len(host.routes)) for host in address_range.hosts or ())
        + len(address_range.server_names)
        for port in opened.ports
        for address_range in port.address_ranges
    )


@pytest.mark.parametrize("passthrough", [False, True])
@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.HTTPS])
def test_thousands_of_ranges_and_hosts_of_one_policy_are_one_address_range(
    protocol: Protocol, *, passthrough: bool
) -> None:
    held = (rule(protocol=protocol, hosts=hosts(MANY), ranges=ranges(MANY)),)
    admitted = admit(held, SHOP, passthrough)
    opened = egress_plan(admitted.rules, passthrough=passthrough)

    assert admitted == Admission(held, passthrough)
    # Each host is there once more where passthrough would let it out at other addresses.
    assert len(opened.ports[0].address_ranges) == 1 + passthrough
    assert entries(opened) <= 3 * MANY


def test_thousands_of_policies_of_one_range_each_come_to_as_much_as_they_say() -> None:
    held = tuple(
        rule(f"shop/{n}", hosts=(host,), ranges=(range_,))
        for n, (host, range_) in enumerate(zip(hosts(MANY), ranges(MANY), strict=True))
    )

    assert admit(held, SHOP, False).closed == ()
    assert entries(egress_plan(held, passthrough=False)) == 2 * MANY


def test_a_block_is_in_one_address_range_and_none_in_another_of_the_same_policies() -> None:
    wide, narrow, apart = "10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24"
    held = (
        rule("p/a", Protocol.TCP, ranges=(wide, narrow, apart)),
        rule("p/b", Protocol.TCP, ranges=(narrow,)),
    )
    (port,) = egress_plan(held, passthrough=False).ports

    assert [address_range.ranges for address_range in port.address_ranges] == [
        (wide, apart),
        (narrow,),
    ]
    assert [address_range.bytes_policies for address_range in port.address_ranges] == [
        ("p/a",),
        ("p/a", "p/b"),
    ]


PRODUCT = rule("shop/z", hosts=hosts(MANY), matches=PATHS)


def test_a_policy_far_too_large_is_closed_alone() -> None:
    small = rule("shop/s", hosts=("s.test",))
    admitted = admit((small, PRODUCT), SHOP, False)

    assert admitted == Admission((small,), False, ("shop/z",))


@pytest.mark.parametrize(
    "match", [RequestMatch("/" + "a" * 990), RequestMatch("/", (), (("x", "a" * 990),))]
)
def test_a_policy_is_too_large_by_the_length_of_its_expressions_too(match: RequestMatch) -> None:
    small = rule("shop/s", hosts=("s.test",))
    large = rule("shop/z", hosts=hosts(MANY), matches=(match,))

    assert admit((small, large), SHOP, False) == Admission((small,), False, ("shop/z",))


def test_with_passthrough_its_hosts_stay_named() -> None:
    small = rule("shop/s", hosts=("s.test",))
    admitted = admit((small, PRODUCT), SHOP, True)
    plan = Outbound(Destinations(), True, egress_plan(admitted.rules, passthrough=True))
    said = {
        host: decide(plan, Attempt(None, 80, Protocol.HTTP, host)).allowed
        for host in ("s.test", "h7.example.com", "other.test")
    }

    assert admitted.closed == ("shop/z",)
    assert said == {"s.test": True, "h7.example.com": False, "other.test": True}


def test_where_even_names_are_too_many_nothing_passes_through() -> None:
    held = (rule("shop/s", hosts=("s.test",)), rule("shop/z", hosts=hosts(MOST_ENTRIES + 1)))

    assert admit(held, SHOP, True) == Admission(held[:1], False, ("shop/z",))


def test_where_passthrough_is_lost_a_policy_says_so() -> None:
    """Nothing else is too much: hosts of a policy without ranges are only refused."""
    small = rule("shop/s", hosts=("s.test",))
    named = rule("shop/z", hosts=hosts(MOST_ENTRIES + 1), ranges=())

    assert admit((small, named), SHOP, True) == Admission((small,), False, ("shop/z",))
    assert admit((small, named), SHOP, False) == Admission((small, named), False)


def test_policies_of_the_own_namespace_come_before_smaller_ones_of_others() -> None:
    own = rule("shop/z", hosts=hosts(MOST_ENTRIES * 3 // 5))
    foreign = rule("evil/a", hosts=hosts(MOST_ENTRIES // 2, of="other.test"))

    assert admit((foreign, own), SHOP, False).closed == ("evil/a",)
    assert admit((foreign, own), "evil", False).closed == ("shop/z",)


def test_a_product_of_ranges_of_some_and_hosts_of_others_is_seen() -> None:
    """Each host has a filter chain of its own, and each chain the ranges."""
    names = rule("shop/a", Protocol.HTTPS, hosts=hosts(MANY))
    addresses = rule("shop/b", Protocol.TCP, ranges=ranges(MANY))

    assert admit((names, addresses), SHOP, False).closed == ("shop/b",)


def test_patterns_around_all_hosts_are_counted_for_each_of_them() -> None:
    around = [
        rule(f"shop/{n:02}", hosts=("*.example.com",), matches=PATHS[n : n + 1]) for n in range(40)
    ]
    under = rule("shop/x", hosts=hosts(MANY))

    assert admit((*around, under), SHOP, False).closed == ("shop/x",)


@settings(max_examples=examples(100), suppress_health_check=list(HealthCheck))
@given(
    held=st.lists(rules(), min_size=3, max_size=6),
    tried=st.lists(attempts, min_size=5),
    through=st.booleans(),
    most=st.integers(0, 40),
    order=st.randoms(),
)
@example([PRODUCT, rule("p/s", hosts=("s.test",))], [], True, 100, random.Random(1))
def test_beyond_the_limit_access_only_narrows_whatever_the_order(
    held: list[Rule],
    tried: list[Attempt],
    through: bool,  # noqa: FBT001
    most: int,
    order: random.Random,
) -> None:
    shuffled = list(held)
    order.shuffle(shuffled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MOST_ENTRIES", most)
        admitted = admit(tuple(held), "p", through)
        again = admit(tuple(shuffled), "p", through)
    opened = egress_plan(admitted.rules, passthrough=admitted.passthrough)
    plan = Outbound(Destinations(), admitted.passthrough, opened)

    assert opened == egress_plan(again.rules, passthrough=again.passthrough)
    assert admitted.closed == again.closed
    for attempt in tried:
        decision = decide(plan, attempt)
        wide = allowed(held, attempt, passthrough=through)
        kept = [rule for rule in held if rule.policy not in admitted.closed]
        narrow = allowed(kept, attempt, passthrough=False)

        assert narrow <= decision.allowed <= wide, (attempt, decision.reasons)


@settings(max_examples=examples(200))
@given(held=st.lists(rules(), min_size=1, max_size=6), through=st.booleans())
@example(held=[rule("p/one", hosts=("a.test", "b.a.test"), ranges=())], through=True)
def test_what_is_counted_is_no_less_than_what_comes_of_it(
    held: list[Rule], *, through: bool
) -> None:
    come = entries(egress_plan(tuple(held), passthrough=through))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MOST_ENTRIES", come - 1)
        admitted = admit(tuple(held), "p", through)

    assert admitted.closed or come == 0


def test_what_is_closed_is_a_problem_that_names_the_limit() -> None:
    account = Account("shop", "default")
    mesh = mesh_of(
        namespace("shop"),
        mesh_config(policies=True),
        egress("small", hosts=("s.test",)),
        egress("large", hosts=hosts(MOST_ENTRIES + 1)),
    )
    (problem,) = problems(mesh)
    plan = outbound(mesh, account)

    assert (problem.object.name, problem.reason) == ("large", Reason.TOO_LARGE)
    assert str(MOST_ENTRIES) in problem.message
    assert [e.name for e in plan.egress.targets] == ["s.test:80"]
