"""When a connection is to be made anew: before the certificate ends that it was made with."""

from __future__ import annotations

import zlib
from datetime import datetime

PART, LONGEST_S = 0.1, 60.0
"""How much earlier at most: a tenth of what is left, one minute."""


def seconds_left(expires_at: datetime, *, peer: str, now: datetime) -> float:
    """How long calls on the connection of *peer* may last, never beyond *expires_at*.

    Connections differ, so that sidecars whose certificates end together do not come back together;
    the calls of one do not, so that it is made anew once.
    """
    left = max((expires_at - now).total_seconds(), 0.0)
    by_chance = zlib.crc32(peer.encode()) / 2**32
    return left - by_chance * min(left * PART, LONGEST_S)
