"""Whatever two meshes say, what stands in between lets nothing through that the new one forbids."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from support.egress_rules import attempts, rules
from support.envoy_judge import lets_through
from support.examples import examples
from towpath.encode.envoy import egress_routes, intersection, outbound_listener, outbound_routes
from towpath.model.names import Protocol
from towpath.model.plan import Destination, Destinations, Outbound
from towpath.model.snapshot import Resource
from towpath.planning.egress.decide import Attempt, decide
from towpath.planning.egress.plan import egress_plan, outside

LISTENER = "outbound-listener"

destinations = st.builds(
    Destination,
    namespace=st.just("shop"),
    service=st.sampled_from(("cart", "stock")),
    port=st.sampled_from((80, 443)),
    protocol=st.sampled_from((Protocol.HTTP, Protocol.TCP, Protocol.TCP_SERVER_FIRST)),
    addresses=st.sampled_from((("10.1.1.1",), ("10.1.1.2",), ("10.1.1.1", "10.1.1.2"))),
    direct=st.booleans(),
)


@st.composite
def plans(draw: st.DrawFn) -> Outbound:
    through = draw(st.booleans())
    held = draw(st.lists(rules(), max_size=4))
    found: dict[tuple[int, str], Destination] = {}
    for one in draw(st.lists(destinations, max_size=2)):
        # No address leads to two services on one port, and no service is there twice.
        taken = {(d.port, a) for d in found.values() for a in d.addresses}
        if taken.isdisjoint((one.port, address) for address in one.addresses):
            found.setdefault((one.port, one.service), one)
    reachable = Destinations(sorted(found.values()))
    dialled = {(d.port, address) for d in reachable for address in d.addresses}
    let_out = egress_plan(tuple(held), passthrough=through)
    return Outbound(reachable, through, outside(let_out, dialled & let_out.single))


def _listener(plan: Outbound) -> Resource | None:
    return outbound_listener(plan).get(LISTENER)


def _routes(plan: Outbound) -> dict[str, Resource]:
    return {**outbound_routes(plan.destinations), **egress_routes(plan.egress)}


def _met(held: Mapping[str, Resource], new: Mapping[str, Resource]) -> dict[str, Resource]:
    met = {name: intersection(held[name], new[name]) for name in held.keys() & new.keys()}
    return {name: resource for name, resource in met.items() if resource is not None}


@settings(max_examples=examples(100))
@given(plan=plans(), tried=st.lists(attempts, min_size=5, max_size=12))
def test_a_sidecar_lets_through_what_its_plan_does(plan: Outbound, tried: list[Attempt]) -> None:
    """The judge of the next test judges right. HTTP alone is spoken to an HTTP destination."""
    for attempt in tried:
        decision = decide(plan, attempt)
        if not any(decision.via == d.name for d in plan.destinations):
            judged = lets_through(_listener(plan), _routes(plan), attempt)
            assert decision.allowed == judged, (attempt, decision.reasons)


@settings(max_examples=examples(100))
@given(old=plans(), new=plans(), tried=st.lists(attempts, min_size=8, max_size=16))
def test_nothing_passes_in_between_that_the_new_plan_forbids(
    old: Outbound, new: Outbound, tried: list[Attempt]
) -> None:
    """Whether the listener, the routes, or both are still in between."""
    held, fresh = _listener(old), _listener(new)
    between = None if held is None or fresh is None else intersection(held, fresh)
    met = _met(_routes(old), _routes(new))
    for attempt in tried:
        if not decide(new, attempt).allowed:
            assert not lets_through(between, met, attempt), attempt
            assert not lets_through(between, _routes(new), attempt), attempt
            assert not lets_through(fresh, met, attempt), attempt


@settings(max_examples=examples(100))
@given(old=plans(), new=plans())
def test_what_stands_in_between_has_all_of_itself_in_common_with_the_new(
    old: Outbound, new: Outbound
) -> None:
    """So it is known without another look: `Intersections` remembers it."""
    before, after = _outbound(old), _outbound(new)
    for name, between in _met(before, after).items():
        assert between == intersection(between, after[name])


def _outbound(plan: Outbound) -> dict[str, Resource]:
    return {**outbound_listener(plan), **_routes(plan)}
