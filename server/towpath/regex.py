"""RE2 expressions as sidecars read them, against the whole text: byte by byte, or as characters."""

from __future__ import annotations

import re2

LONGEST_REGEX = 1000
"""In characters; longer ones are not compiled."""


def bytewise(*, most_memory: int | None = None) -> re2.Options:
    """Options that read an expression as bytes; *most_memory* is in bytes."""
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    if most_memory is not None:
        options.max_mem = most_memory
    return options


def characterwise(*, most_memory: int) -> re2.Options:
    """Options that read an expression as UTF-8, as Envoys did before they read bytes."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = most_memory
    return options
