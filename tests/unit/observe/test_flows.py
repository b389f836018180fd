"""Reports added up in bounded memory."""

from __future__ import annotations

from dataclasses import replace

from towpath.model.names import Account, Protocol
from towpath.observe.flow import Flow, Report, Verdict
from towpath.observe.flows import MOST_ADDRESSES, Flows, Tally

FLOW = Flow(
    account=Account("curl", "curl"),
    pod_address="",
    host="a.example.org",
    address="",
    port=443,
    protocol=Protocol.HTTPS,
    verdict=Verdict.ALLOW,
)


def test_reports_of_one_flow_are_added_up_in_any_order() -> None:
    flows = Flows()
    for at in (20.0, 10.0, 30.0):
        flows.add(Report(at, FLOW, "192.0.2.7"))
    ((flow, tally),) = flows

    assert FLOW == flow
    assert (3, 10.0, 30.0, {"192.0.2.7": 3}) == (
        tally.count,
        tally.first,
        tally.last,
        tally.addresses,
    )


def test_more_flows_than_there_is_room_for_are_only_counted() -> None:
    flows = Flows(most=2)
    for number in range(10):
        flows.add(Report(1.0, replace(FLOW, port=number), "192.0.2.7"))
    flows.add(Report(2.0, replace(FLOW, port=1), "192.0.2.7"))

    assert (2, 8) == (len(flows), flows.left_out)
    assert [1, 2] == [tally.count for _, tally in flows]


def test_more_addresses_than_are_kept_are_only_counted() -> None:
    flows = Flows()
    for number in range(MOST_ADDRESSES + 5):
        flows.add(Report(1.0, FLOW, f"192.0.2.{number}"))
    ((_, tally),) = flows

    assert (MOST_ADDRESSES, (None, 5)) == (len(tally.addresses), tally.counts[-1])


def test_flows_that_are_one_are_counted_together() -> None:
    flows = Flows()
    for number in range(MOST_ADDRESSES + 5):
        flows.add(Report(10.0 + number, FLOW, f"192.0.2.{number}"))
    ((_, total),) = flows
    other = Tally(5.0, 99.0, 7, {"192.0.2.1": 4, "192.0.2.200": 1})
    total.merge(other)

    assert (MOST_ADDRESSES + 12, 5.0, 99.0) == (total.count, total.first, total.last)
    assert 5 == total.addresses["192.0.2.1"]
    assert (None, 8) == total.counts[-1]
