"""Waiting for a condition, with a deadline and an error that says what was seen last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WITHIN_S = 30.0
EVERY_S = 0.005


class NotReachedError(AssertionError):
    """A condition did not come true in time."""


def until(
    look: Callable[[], T],
    wanted: Callable[[T], bool],
    *,
    what: str,
    within_s: float = WITHIN_S,
    context: Callable[[], str] = lambda: "",
) -> T:
    """Look again and again until what is seen is *wanted*, and return it.

    An OSError counts as not yet: whoever is asked may still be starting. NotReachedError names
    *what*, the last sight and the *context* (log lines, say).
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            seen = look()
            if wanted(seen):
                return seen
            last = repr(seen)
        except OSError as error:
            last = f"{type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            raise NotReachedError(
                f"not within {within_s:g} s: {what}\nlast seen: {last}\n{context()}".rstrip()
            )
        time.sleep(EVERY_S)


def equals(expected: T) -> Callable[[T], bool]:
    """The condition «what is seen equals this»."""
    return lambda seen: seen == expected
