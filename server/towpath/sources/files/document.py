"""What every manifest format reads to: documents that know their line, or a reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from towpath.model.text import printable


class Unreadable(Exception):
    """The text is no manifest; *line* (from 1) is where that shows."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Document:
    """One document: JSON-like values, the line it starts at, and that of each item of a List.

    `item_lines` is keyed by the `id` of the item, which lives as long as the document's value.
    """

    value: object
    line: int
    item_lines: Mapping[int, int] = field(default_factory=dict)

    def line_of(self, item: object) -> int:
        return self.item_lines.get(id(item), self.line)


def place(name: str, line: int) -> str:
    """Where something stands, for people: a name may hold any byte but / and NUL."""
    return f"{printable(name)}:{line}"


def line_at(text: str | bytes, offset: int) -> int:
    """The line, counted from 1, of the character or byte at *offset*."""
    newline: str | bytes = "\n" if isinstance(text, str) else b"\n"
    return text.count(newline, 0, offset) + 1  # type: ignore[arg-type]
