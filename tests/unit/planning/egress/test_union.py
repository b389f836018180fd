"""Whatever policies overlap, one look at the merged plan decides what their plain union does."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from support.egress_rules import attempts, rules
from support.examples import examples
from support.oracle import allowed
from towpath.model.plan import Destinations, Outbound
from towpath.planning.egress.decide import Attempt, decide
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule


@settings(max_examples=examples(300))
@given(
    held=st.lists(rules(), max_size=6), tried=st.lists(attempts, min_size=5), through=st.booleans()
)
def test_the_plan_allows_what_the_union_of_all_rules_allows(
    held: list[Rule], tried: list[Attempt], *, through: bool
) -> None:
    plan = Outbound(Destinations(), through, egress=egress_plan(tuple(held), passthrough=through))
    for attempt in tried:
        decision = decide(plan, attempt)
        wanted = allowed(held, attempt, passthrough=through)

        assert wanted == decision.allowed, (attempt, decision.reasons)


@settings(max_examples=examples(100))
@given(held=st.lists(rules(), max_size=6), through=st.booleans(), order=st.randoms())
def test_the_order_of_rules_does_not_matter(
    held: list[Rule], *, through: bool, order: random.Random
) -> None:
    shuffled = list(held)
    order.shuffle(shuffled)

    assert egress_plan(tuple(held), passthrough=through) == egress_plan(
        tuple(shuffled), passthrough=through
    )
