"""Path expressions that are hard to judge for Pipy sidecars, whose engine tries every way."""

from __future__ import annotations

import time

from bench.hostile.row import Row
from towpath.encode.pipy.regex import Explosive, NotPortable, on_path

HARD = (
    "/(a+)+b",
    "/" + "(a|b|c|d)+" * 40 + "x",
    "/" + "(?:[a-z]*[0-9]*)" * 60,
    "/" + ".*a" * 90,
    "/(" + "|".join("a" * n for n in range(1, 19)) + ")+b",
    "/" + "[0-9a-f]{8}-" * 20,
)


def measure() -> list[Row]:
    """The most processor time that one of them takes."""
    slowest, longest = "", 0.0
    sent = 0
    for regex in HARD:
        begun = time.process_time()
        try:
            on_path(regex)
            sent += 1
        except (Explosive, NotPortable):
            pass
        spent = time.process_time() - begun
        if spent > longest:
            slowest, longest = regex, spent
    cost = f"{longest * 1000:.0f} ms for {slowest[:30]}…; {sent} of {len(HARD)} were sent to Pipy"
    return [
        Row("an expression that is hard to judge for Pipy", cost, "200 characters, 50,000 steps")
    ]
