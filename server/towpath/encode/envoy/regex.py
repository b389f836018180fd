"""RE2 expressions as Envoy takes them."""

from __future__ import annotations

from functools import lru_cache

import re2
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher

from towpath.regex import bytewise

_UNASKED = 80
"""Steps that Envoy takes without a word: 100, less what its own RE2 may count otherwise."""
_LARGEST = 10_000
"""What Envoy is told to take: the control plane has judged the expression before."""


@lru_cache(maxsize=1024)
def _steps(regex: str) -> int:
    return int(re2.compile(regex.encode(), bytewise()).programsize)


def expression(regex: str) -> RegexMatcher:
    """A full match; a large one says its own limit, or Envoy rejects it with all routes beside it.

    The field is deprecated and has no successor in xDS: the other way is a runtime key in the
    bootstrap of every sidecar.
    """
    matcher = RegexMatcher(regex=regex)
    if _steps(regex) > _UNASKED:
        matcher.google_re2.max_program_size.value = _LARGEST
    return matcher
