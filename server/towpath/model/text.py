"""Text that others wrote, made fit for a line of a log or a table."""

from __future__ import annotations

import re

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY.*?(?:-----END [A-Z ]*-----|$)", re.DOTALL)
_ENCODED = re.compile(r"[A-Za-z0-9+/]{32,}={0,2}")
"""A line of PEM, but for a short last one."""


def printable(text: str) -> str:
    r"""*text* with what would move a terminal's cursor, end its line or turn its direction written
    as an escape, such as `\n` and `\x1b`.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_lines(text: str) -> str:
    """The same line by line: a text of several lines keeps them."""
    return "\n".join(map(printable, text.split("\n")))


def shorten(text: str, longest: int) -> str:
    """*text* in at most *longest* characters: what is too long loses its middle."""
    if len(text) <= longest:
        return text
    head = (longest - 3) // 2
    return f"{text[:head]} … {text[head + 3 - longest :]}"


def without_keys(text: str) -> str:
    """The text without what may be a part of a key or certificate in it, whole or cut."""
    return _ENCODED.sub("[left out]", _PRIVATE_KEY.sub("[left out]", text))
