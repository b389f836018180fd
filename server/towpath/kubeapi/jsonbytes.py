"""JSON bytes of others, decoded whatever they hold: what is nested too deeply is cut, not fatal.

An API server takes objects that are nested thousands of levels deep, in fields that nobody reads;
a decoder must not be brought down by the one object that somebody nested so.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

T = TypeVar("T")

DEEPEST = 100
"""Levels that are kept; what Towpath reads is at most a dozen levels deep."""

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)


def read_json(data: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode; raises msgspec.DecodeError for all that is not such JSON."""
    try:
        try:
            return decoder.decode(data)
        except RecursionError:
            return decoder.decode(shallow(bytes(data)))
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError("JSON is malformed: it is not UTF-8 text") from error


def shallow(data: bytes) -> bytes:
    """The same JSON with null in place of what is nested deeper than DEEPEST levels."""
    pieces: list[bytes] = []
    depth = kept = 0
    for token in _TOKEN.finditer(data):
        mark = token[0][:1]
        if mark in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                pieces += data[kept : token.start()], b"null"
        elif mark in b"]}":
            depth -= 1
            if depth == DEEPEST:
                kept = token.end()
    if depth > DEEPEST:
        raise msgspec.DecodeError("JSON is malformed: a mapping or list does not end")
    return b"".join((*pieces, data[kept:]))
