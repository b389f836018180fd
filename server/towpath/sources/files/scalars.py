"""What a plain YAML word means, as `kubectl` takes it: null, a boolean, a number, or text.

Dates stay text, and so does `12:30`, which YAML 1.1 would take for a number of base 60.
"""

from __future__ import annotations

import re

Scalar = None | bool | int | float | str

_WORDS: dict[str, Scalar] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_WORDS |= {w: True for word in ("true", "yes", "on") for w in (word, word.title(), word.upper())}
_WORDS |= {w: False for word in ("false", "no", "off") for w in (word, word.title(), word.upper())}

_NUMERIC = re.compile(r"[-+.0-9]")
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0b(?P<two>[01_]+)|0o?(?P<eight>[0-7_]+)|0x(?P<sixteen>[0-9a-fA-F_]+)"
    r"|(?P<ten>0|[1-9][0-9_]*))"
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASES = {"two": 2, "eight": 8, "sixteen": 16, "ten": 10}
_LONGEST_INTEGER = 40


def resolve(word: str) -> Scalar:
    """The value of an unquoted word."""
    if word in _WORDS:
        return _WORDS[word]
    if not _NUMERIC.match(word):
        return word
    integer = _INTEGER.fullmatch(word)
    if integer and len(word) <= _LONGEST_INTEGER:
        base = next(b for b in _BASES if integer[b] is not None)
        digits = integer[base].replace("_", "")
        return int(integer["sign"] + digits, _BASES[base]) if digits else word
    return float(word) if _FLOAT.fullmatch(word) else word
