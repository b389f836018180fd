"""RE2 expressions in the words of Pipy's scripts.

Those search anywhere in the path with its query, by another dialect. What is written here means
there just what it meant on the whole path without query; what cannot be said is refused, since a
Pipy that cannot compile one expression keeps nothing of its configuration.
"""

from __future__ import annotations

import re
import string

from towpath.encode.pipy.backtracking import TooLargeError, explodes
from towpath.model.paths import ANY_PATH

ANY_WITH_QUERY = '^/[!-"$-~]*$'
"""Any path that HTTP has, with its query."""

_PLAIN = (
    r"""(?![!-"$-~]*[^!-"$-~])"""
    r"(?![^?]*(?:[;\\]|/\.*/|/\.+(?:\?|$)|%(?:25)*(?:00|2[eEfF]|3[bB]|5[cC])))"
)
"""No character that HTTP has not, and no path that a server may fold to another one: what
`/public/../admin`, `//`, `;` or `%2f` mean is for each server to say. The second part is
`model.paths.FOLDABLE` in Pipy's dialect.
"""

_QUERY = "?"
_REPEAT = re.compile(r"\{\d+(?:,\d*)?\}")
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": "\\t\\n\\f\\r "}
_CONTROLS = "tnrfv"
_QUOTABLE = frozenset(string.punctuation) - {"_"}
_SPECIAL_IN_CLASS = "\\]^-["


class NotPortable(Exception):
    """The expression cannot be said in Pipy's dialect; the text says which part."""


class Explosive(Exception):
    """The expression can make Pipy try ever more ways through it; the text is the expression."""


def on_path(regex: str) -> str:
    """An expression that finds, in a path with its query, what *regex* fully matches without.

    Unless that is any path at all, it finds none that a server may fold to another one.
    """
    if regex == ANY_PATH:
        return ANY_WITH_QUERY
    return f"^{_PLAIN}(?:{_portable(regex, without=_QUERY)})(?:\\?.*)?$"


def on_value(regex: str) -> str:
    """An expression that finds in a header's value what *regex* fully matches.

    An absent header reads as an empty one there, so an empty value never matches.
    """
    return f"^(?!$)(?:{_portable(regex, without='')})$"


def _portable(regex: str, *, without: str) -> str:
    text = _Translation(regex, without=without).text
    try:
        if explodes(text):
            raise Explosive(regex)
    except TooLargeError:
        raise NotPortable("expressions as large as this one") from None
    return text


class _Translation:
    """One expression read from left to right; *without* is a character that it never meets."""

    def __init__(self, regex: str, *, without: str) -> None:
        if not regex.isascii() or not regex.isprintable():
            raise NotPortable("a character that is not printable ASCII")
        self._regex = regex
        self._without = without
        self._at = 0
        self._out: list[str] = []
        self._depth = 0
        self._repeatable = False
        while self._at < len(regex):
            self._step()

    @property
    def text(self) -> str:
        return "".join(self._out)

    def _step(self) -> None:
        character = self._take()
        match character:
            case "\\":
                self._escape(self._take())
            case "[":
                self._put(self._class())
            case "(":
                self._open()
            case ")":
                self._depth -= 1
                self._put(")")
            case "|" | "^":
                self._put(character, repeatable=False)
            case "$":
                end = f"(?![^{self._without}])" if self._without else "$"
                self._put(end, repeatable=False)
            case "*" | "+" | "?" | "{":
                self._repeat(character)
            case ".":
                self._put(self._any())
            case "]" | "}":
                self._put("\\" + character)
            case _:
                self._put(character)

    def _take(self) -> str:
        if self._at >= len(self._regex):
            raise NotPortable("an end in the middle")
        self._at += 1
        return self._regex[self._at - 1]

    def _ahead(self, text: str) -> bool:
        return self._regex.startswith(text, self._at)

    def _put(self, text: str, *, repeatable: bool = True) -> None:
        self._out.append(text)
        self._repeatable = repeatable

    def _open(self) -> None:
        if self._ahead("?"):
            if not self._ahead("?:"):
                raise NotPortable(f"{self._regex[self._at - 1 : self._at + 3]!r}")
            self._at += 2
            self._put("(?:", repeatable=False)
        else:
            self._put("(", repeatable=False)
        self._depth += 1

    def _repeat(self, character: str) -> None:
        if character == "{":
            match = _REPEAT.match(self._regex, self._at - 1)
            if not match:
                raise NotPortable("'{' that begins no repetition")
            character = match.group()
            self._at = match.end()
        if not self._repeatable:
            raise NotPortable(f"{character!r} that repeats nothing")
        if self._ahead("?"):
            self._at += 1
            character += "?"
        self._put(character, repeatable=False)

    def _any(self) -> str:
        """At the very end of the expression, the rest of the path may as well have the query."""
        last = self._depth == 0 and self._regex[self._at :] == "*"
        return f"[^{self._without}]" if self._without and not last else "."

    def _escape(self, character: str) -> None:
        if character in _CLASSES:
            self._put(f"[{_CLASSES[character]}]")
        elif character.lower() in _CLASSES:
            self._put(f"[^{_CLASSES[character.lower()]}{self._without}]")
        elif character in "bB":
            self._put("\\" + character, repeatable=False)
        elif character in (_QUOTABLE | {*_CONTROLS}) - {self._without}:
            self._put("\\" + character)
        else:
            raise NotPortable(f"'\\{character}'")

    def _class(self) -> str:
        negated = self._ahead("^")
        self._at += int(negated)
        if self._ahead("]"):
            raise NotPortable("a class that begins with ']'")
        items: list[str] = []
        while not self._ahead("]"):
            items.append(self._item(negated=negated))
        self._at += 1
        inner = "".join(items) + (self._without if negated else "")
        if not inner:
            raise NotPortable(f"a class of nothing but {self._without!r}")
        return f"[^{inner}]" if negated else f"[{inner}]"

    def _item(self, *, negated: bool) -> str:
        """One character of a class, or a range, or a shorthand; between brackets."""
        first = self._member()
        if len(first) > 1:
            if self._ahead("-") and not self._ahead("-]"):
                raise NotPortable("a range that begins with a class")
            return first
        if not self._ahead("-") or self._ahead("-]"):
            return "" if first == self._without and not negated else _quoted(first)
        self._at += 1
        last = self._member()
        if len(last) > 1:
            raise NotPortable("a range that ends with a class")
        if not negated and self._without and first <= self._without <= last:
            return self._around(first, last)
        return _range(first, last)

    def _member(self) -> str:
        """One character of a class as it is, or what a shorthand stands for."""
        character = self._take()
        if character == "[" and self._ahead(":"):
            raise NotPortable("'[:' in a class")
        if character != "\\":
            return character
        character = self._take()
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _CONTROLS:
            return "\\" + character
        if character not in _QUOTABLE:
            raise NotPortable(f"'\\{character}' in a class")
        return character

    def _around(self, first: str, last: str) -> str:
        """A range but for the character that is never met."""
        below, above = chr(ord(self._without) - 1), chr(ord(self._without) + 1)
        lower = _range(first, below) if first <= below else ""
        return lower + (_range(above, last) if above <= last else "")


def _range(first: str, last: str) -> str:
    return f"{_quoted(first)}-{_quoted(last)}"


def _quoted(character: str) -> str:
    return "\\" + character if character in _SPECIAL_IN_CLASS else character
