"""Flows: reports added up, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from towpath.observe.flow import Flow, Report

MOST_FLOWS = 50_000
"""About 40 MB, or 120 MB with all addresses; reports of further flows are only counted."""

MOST_ADDRESSES = 16
"""How many addresses of one flow are kept: the name of a large service has many."""

Counts = tuple[tuple[str | None, int], ...]
"""Addresses that were dialled, and how many reports there are of each."""


@dataclass(slots=True)
class Tally:
    """How many reports there are of one flow, and the times of the first and the last.

    `addresses` are the reports by the address that was dialled, as many as are kept. `revision`
    grows with each report of all flows that are kept together.
    """

    first: float
    last: float
    count: int = 0
    addresses: dict[str, int] = field(default_factory=dict)
    revision: int = field(default=0, compare=False)

    def add(self, at: float, address: str, count: int = 1) -> None:
        """Count one report, or more at one time."""
        self.count += count
        self.first, self.last = min(self.first, at), max(self.last, at)
        if address in self.addresses or len(self.addresses) < MOST_ADDRESSES:
            self.addresses[address] = self.addresses.get(address, 0) + count

    def merge(self, other: Tally) -> None:
        """Count the reports of another flow as of this one."""
        for address, count in other.counts:
            if address is None:
                self.count += count
            else:
                self.add(other.first, address, count)
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)

    @property
    def counts(self) -> Counts:
        """How many reports there are by address; None stands for those that were not kept."""
        elsewhere = self.count - sum(self.addresses.values())
        return (*self.addresses.items(), *([(None, elsewhere)] if elsewhere else ()))


class Flows:
    """A tally for each flow, for *most* flows; `left_out` counts reports of all others."""

    def __init__(self, most: int = MOST_FLOWS) -> None:
        self._most = most
        self._tallies: dict[Flow, Tally] = {}
        self.left_out = 0

    def add(self, report: Report) -> None:
        """Count one report."""
        tally = self._tallies.get(report.flow)
        if tally is None:
            if len(self._tallies) >= self._most:
                self.left_out += 1
                return
            tally = self._tallies[report.flow] = Tally(report.at, report.at)
        tally.add(report.at, report.address)

    def __len__(self) -> int:
        return len(self._tallies)

    def __iter__(self) -> Iterator[tuple[Flow, Tally]]:
        return iter(self._tallies.items())
