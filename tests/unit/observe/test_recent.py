"""Recent flows: bounded, each account in its own room, and what is new is found quickly."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from towpath.model.names import Account, Protocol
from towpath.observe.flow import Flow, Report, Verdict
from towpath.observe.recent import RecentFlows

FLOW = Flow(
    account=Account("shop", "a"),
    pod_address="",
    host="a.example.org",
    address="",
    port=443,
    protocol=Protocol.HTTPS,
    verdict=Verdict.ALLOW,
)


def report(account: str, host: str) -> Report:
    return Report(1.0, replace(FLOW, account=Account("shop", account), host=host), "192.0.2.7")


def add(flows: RecentFlows, one: Report) -> None:
    """As the sidecars of the account report that the flow is of."""
    flows.add(one, one.flow.account)


def hosts(flows: RecentFlows, revision: int = 0) -> list[str]:
    return [flow.host for flow, _ in flows.since(revision)]


def test_an_account_that_reports_ever_new_hosts_pushes_out_no_others() -> None:
    flows = RecentFlows(most=100, most_of_account=10)
    add(flows, report("quiet", "kept"))
    for number in range(1_000):
        add(flows, report("loud", f"{number}"))

    assert (11, 990) == (len(flows), flows.left_out)
    assert "kept" in hosts(flows)
    assert "999" in hosts(flows)


def test_who_reports_of_others_pushes_out_what_he_reported_himself() -> None:
    flows = RecentFlows(most=100, most_of_account=10)
    flows.add(report("quiet", "kept"), Account("shop", "quiet"))
    for number in range(1_000):
        flows.add(report("quiet", f"{number}"), Account("shop", "liar"))

    assert "kept" in hosts(flows)


def test_if_all_are_too_many_the_account_that_is_silent_for_longest_gives_way() -> None:
    flows = RecentFlows(most=3, most_of_account=2)
    for account, host in (("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")):
        add(flows, report(account, host))

    assert ["4", "3", "1"] == hosts(flows)


def test_an_account_whose_last_flow_gave_way_can_come_back() -> None:
    flows = RecentFlows(most=1, most_of_account=5)
    for account in ("a", "b", "a", "a"):
        add(flows, report(account, account))

    assert (["a"], 2) == (hosts(flows), flows.left_out)


reports = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123456")), max_size=40)


@given(reports, reports)
def test_what_is_new_since_a_revision_is_exactly_what_was_reported_after_it(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    flows = RecentFlows(most=8, most_of_account=4)
    for one in before:
        add(flows, report(*one))
    revision = flows.revision
    for one in after:
        add(flows, report(*one))
    every = {(flow.account, flow.host) for flow, _ in flows.since(0)}
    fresh = {(flow.account, flow.host) for flow, _ in flows.since(revision)}

    assert every & {(Account("shop", account), host) for account, host in after} == fresh
    assert len(every) == len(flows) <= 8
    tallies = [tally.count for _, tally in flows.since(0)]
    assert len(before) + len(after) == sum(tallies) + flows.left_out
