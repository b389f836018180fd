"""What is looked at only for people: it allows the same, and nothing where nobody looks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.egress_rules import attempts, rules
from support.examples import examples
from support.objects import mesh_config, mesh_of, namespace
from towpath.model.egress_plan import EgressPlan
from towpath.model.names import Account, Protocol
from towpath.model.observation import EgressObservation
from towpath.model.plan import Destinations, Outbound
from towpath.planning import outbound
from towpath.planning.egress.decide import Attempt, decide, malformed
from towpath.planning.egress.observation import observed
from towpath.planning.egress.plan import egress_plan
from towpath.planning.egress.rules import Rule

MODES = st.sampled_from(EgressObservation)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(rules(), max_size=4).map(tuple), attempts, st.booleans(), MODES)
def test_whoever_looks_changes_nothing_of_what_is_allowed(
    written: tuple[Rule, ...],
    attempt: Attempt,
    passthrough: bool,  # noqa: FBT001 (a parameter of the test)
    mode: EgressObservation,
) -> None:
    plan = egress_plan(written, passthrough=passthrough)
    looked_at = observed(plan, mode, passthrough=passthrough)
    before, after = (
        Outbound(destinations=Destinations(), passthrough=passthrough, egress=one)
        for one in (plan, looked_at)
    )

    assert decide(before, attempt).allowed == decide(after, attempt).allowed
    assert decide(before, attempt).policies == decide(after, attempt).policies


def test_only_what_is_not_http_that_could_be_routed_is_refused_where_names_are_read() -> None:
    plan = observed(EgressPlan(), EgressObservation.NAMES, passthrough=True)
    let_out = Outbound(destinations=Destinations(), passthrough=True, egress=plan)
    attempt = Attempt("192.0.2.7", 80, Protocol.HTTP, "a.test", path="no-slash")

    assert malformed(attempt)
    assert not decide(let_out, attempt).allowed


@pytest.mark.parametrize("passthrough", [False, True])
def test_disabled_is_the_very_same_plan(
    passthrough: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    plan = EgressPlan()

    assert plan is observed(plan, EgressObservation.DISABLED, passthrough=passthrough)


@pytest.mark.parametrize(
    ("mesh_wide", "own", "reports", "ports"),
    [
        ("disabled", None, False, []),
        ("names", None, False, [80, 443]),
        ("reports", None, True, [80, 443]),
        ("reports", "disabled", False, []),
        ("reports", "names", False, [80, 443]),
        ("disabled", "reports", True, [80, 443]),
    ],
)
def test_a_namespace_says_it_for_itself_or_the_mesh_config_does(
    mesh_wide: str,
    own: str | None,
    reports: bool,  # noqa: FBT001 (a parameter of the test)
    ports: list[int],
) -> None:
    config = replace(mesh_config(egress=True), observe_egress=EgressObservation(mesh_wide))
    space = replace(namespace("shop"), observe_egress=EgressObservation(own) if own else None)
    plan = outbound(mesh_of(space, config), Account("shop", "default")).egress

    assert (reports, ports) == (plan.reports, [port.number for port in plan.ports])


def test_a_closed_mesh_reports_and_has_nothing_more_looked_at() -> None:
    config = replace(mesh_config(egress=False), observe_egress=EgressObservation.REPORTS)
    plan = outbound(mesh_of(namespace("shop"), config), Account("shop", "default")).egress

    assert (True, 0) == (plan.reports, len(plan.ports))
