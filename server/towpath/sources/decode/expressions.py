"""Expressions: the RE2 expressions of one object, each checked as sidecars will read it.

To compile one costs its author a few characters, and us and every sidecar far more. So what the
expressions of an object may take together is bounded, whether they are valid or not.
"""

from __future__ import annotations

import re

import re2

from towpath.regex import LONGEST_REGEX, bytewise
from towpath.sources.decode.findings import Findings

LARGEST_PROGRAM = 1000
"""Steps of a compiled expression: a few characters can ask for a great many."""

MOST_STEPS = 100_000
"""Steps of all expressions of one object together."""

_MEMORY = 1 << 16
"""Bytes: about three times what LARGEST_PROGRAM steps need; more is not even begun."""

_EACH = 20
"""Steps that an expression counts for beside its own."""

_UNICODE_CLASS = re.compile(r"(?<!\\)(?:\\\\)*\\[pP]")
_EFFECT = "the match is left out"


class Expressions:
    """What is wrong with them goes to *findings*, with the *effect* that this has."""

    def __init__(self, findings: Findings, *, effect: str = _EFFECT) -> None:
        self._findings = findings
        self._effect = effect
        self._left = MOST_STEPS
        # An expression of larger characters than bytes is an error in a sidecar.
        self._options = bytewise(most_memory=_MEMORY)

    def check(self, path: str, pattern: str) -> None:
        """Say what is wrong with the expression in the field *path*, if anything is."""
        allowed = f"an RE2 expression of at most {LONGEST_REGEX} characters"
        if not pattern:
            # Its author may have meant «present», or «empty»; sidecars take no empty expression.
            allowed = f"{allowed}; .* is any value"
        elif _UNICODE_CLASS.search(pattern[:LONGEST_REGEX]):
            # A single one takes 20 ms to compile, for characters that sidecars see as bytes.
            allowed = f"{allowed} without classes of Unicode (\\p)"
        elif self._left <= 0:
            allowed = f"expressions that compile to at most {MOST_STEPS:,} steps together"
        elif len(pattern) <= LONGEST_REGEX:
            wrong = self._compile(pattern)
            if wrong is None:
                return
            allowed += wrong
        self._findings.invalid(path, pattern, allowed=allowed, effect=self._effect)

    def _compile(self, pattern: str) -> str | None:
        """What else is allowed; None for a valid expression."""
        self._left -= _EACH
        try:
            size = re2.compile(pattern.encode(), self._options).programsize
        except re2.error as error:
            reason = error.args[0] if error.args else error
            text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
            self._left -= LARGEST_PROGRAM
            return f" ({text})"
        self._left -= size
        if size > LARGEST_PROGRAM:
            return f" that compiles to at most {LARGEST_PROGRAM} steps, not {size}"
        return None
