"""Timing: how long to wait for a server, and between two attempts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Times, in seconds.

    `idle_s`: bookmarks come about once a minute, so a watch without a byte for this long is dead.
    `watch_s`: the server ends a watch after a time in between, not all of them at once.
    `lenient_s`: a server that has just started refuses everything until its rights are loaded.
    `steady_s`: a watch that lived this long has worked; the next pause is a short one again.
    """

    first_pause_s: float = 0.2
    longest_pause_s: float = 10.0
    longest_asked_pause_s: float = 60.0
    lenient_s: float = 10.0
    steady_s: float = 10.0
    idle_s: float = 90.0
    watch_s: tuple[int, int] = (290, 590)

    def asked_s(self, retry_after_s: float) -> float:
        """How much of the pause that a server asks for is granted, besides our own."""
        return min(retry_after_s, self.longest_asked_pause_s)
