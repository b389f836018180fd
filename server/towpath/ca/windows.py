"""Windows: during which time which leaf of an account is sent.

A leaf is renewed when half of its life is over. The times lie on a grid that depends on the
validity alone, so that all replicas, and one that starts anew, are in the same window; and the
slots are spread evenly over it, so that leaves are renewed a few at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from towpath.model.identity import SLOTS, Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def windows(at: datetime, validity: timedelta) -> Mapping[int, Window]:
    """The window that each slot is in at that time; a certificate knows whole seconds only."""
    length = validity // _SECOND // 2
    seconds = (at - EPOCH) // _SECOND
    result = {}
    for slot in range(SLOTS):
        phase = length * slot // SLOTS
        begin = (seconds - phase) // length * length + phase
        result[slot] = Window(EPOCH + begin * _SECOND, length * _SECOND)
    return result


def next_renewal(present: Mapping[int, Window]) -> datetime:
    """When the first of these windows is over."""
    return min(window.begin + window.length for window in present.values())
