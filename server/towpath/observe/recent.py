"""Recent flows: what running sidecars report, each service account in a memory of its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from towpath.model.names import Account
from towpath.observe.flow import Flow, Report
from towpath.observe.flows import MOST_FLOWS, Tally

MOST_OF_ACCOUNT = 2_000
"""So that an account that reports ever new hosts pushes out no other's."""


class RecentFlows:
    """The newest flows that each account's sidecars report, *most* in all and *most_of_account* of
    one.

    What there is no room for pushes out the flow that was reported longest ago: of the same
    account, or, if all of them are too many, of the account that is silent for longest. `left_out`
    counts the reports of flows that were pushed out, `streams` are those that are open, and `shed`
    counts the messages that nobody looked at.
    """

    def __init__(self, most: int = MOST_FLOWS, most_of_account: int = MOST_OF_ACCOUNT) -> None:
        self._most = most
        self._most_of_account = most_of_account
        self._by_account: OrderedDict[Account | None, OrderedDict[Flow, Tally]] = OrderedDict()
        self._count = 0
        self.left_out = 0
        self.revision = 0
        self.streams = 0
        self.shed = 0

    def add(self, report: Report, reporter: Account | None) -> None:
        """Count one report of a sidecar of that account."""
        flow = report.flow
        flows = self._by_account.setdefault(reporter, OrderedDict())
        tally = flows.get(flow)
        if tally is None:
            if len(flows) >= self._most_of_account:
                self._push_out(reporter)
            elif self._count >= self._most:
                self._push_out(next(iter(self._by_account)))
                flows = self._by_account.setdefault(reporter, flows)
            tally = flows[flow] = Tally(report.at, report.at)
            self._count += 1
        tally.add(report.at, report.address)
        self.revision += 1
        tally.revision = self.revision
        flows.move_to_end(flow)
        self._by_account.move_to_end(reporter)

    def since(self, revision: int) -> Iterator[tuple[Flow, Tally]]:
        """The flows that were reported after that revision, the newest first; 0: all of them."""
        for flows in reversed(self._by_account.values()):
            newest = next(reversed(flows.values()))
            if newest.revision <= revision:
                return
            for flow, tally in reversed(flows.items()):
                if tally.revision <= revision:
                    break
                yield flow, tally

    def __len__(self) -> int:
        return self._count

    def _push_out(self, account: Account | None) -> None:
        flows = self._by_account[account]
        _, tally = flows.popitem(last=False)
        self.left_out += tally.count
        self._count -= 1
        if not flows:
            del self._by_account[account]
