"""RE2 expressions as Envoy takes them."""

from __future__ import annotations

from functools import lru_cache

import re2
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher

from towpath.regex import bytewise, characterwise

_UNASKED = 80
"""Steps that Envoy takes without a word: 100, less what its own RE2 may count otherwise."""
_LARGEST = 100_000
"""What Envoy is told to take: the control plane has judged the expression before, as bytes; as
characters it may be 15 times as large.
"""
_MEMORY = 1 << 16
"""Bytes for reading it as characters: what needs more has far more steps than `_UNASKED`."""


@lru_cache(maxsize=1024)
def _steps(regex: str) -> int:
    """As many as any Envoy counts: those before 1.40 read characters of UTF-8, for each of which a
    negated class, or a dot, has several.
    """
    as_bytes = int(re2.compile(regex.encode(), bytewise()).programsize)
    try:
        as_characters = re2.compile(regex.encode(), characterwise(most_memory=_MEMORY)).programsize
    except re2.error:
        return _LARGEST
    return max(as_bytes, int(as_characters))


def expression(regex: str) -> RegexMatcher:
    """A full match; a large one says its own limit, or Envoy rejects it with all routes beside it.

    The field is deprecated and has no successor in xDS: the other way is a runtime key in the
    bootstrap of every sidecar.
    """
    matcher = RegexMatcher(regex=regex)
    if _steps(regex) > _UNASKED:
        matcher.google_re2.max_program_size.value = _LARGEST
    return matcher
