"""What one page shows, before it is HTML, and what was asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from towpath.cli.page.control_plane import Reading

T = TypeVar("T")

Query = Mapping[str, str]
"""What stands behind the `?` of an address."""


@dataclass(frozen=True, slots=True)
class View:
    """A title, the template that shows it, and its values; *live*: it is shown again and again.

    `silence` is why nobody has answered one of its questions, so that it is of an earlier time, or
    empty; "" if all are answered.
    """

    title: str
    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    live: bool = True
    silence: str = ""


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """The items of one page of a list of *total*; pages count from 1."""

    items: Sequence[T]
    total: int
    number: int
    size: int

    @property
    def pages(self) -> int:
        """How many pages there are; one at least."""
        return max(-(-self.total // self.size), 1)

    @property
    def first(self) -> int:
        """The number of the first item shown; 0 if there is none."""
        return (self.number - 1) * self.size + 1 if self.items else 0

    @property
    def last(self) -> int:
        """The number of the last item shown."""
        return self.first + len(self.items) - 1 if self.items else 0


def silence_of(*readings: Reading[Any]) -> str:
    """The first reason why a question is not answered; "" if all are."""
    return next((one.fault for one in readings if one.fault), "")


def page_number(query: Query) -> int:
    """The page that is asked for; 1 if that is not a number."""
    text = query.get("page", "")
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def part(items: Sequence[T], query: Query, size: int) -> Part[T]:
    """The items of the page that is asked for, or of the last one."""
    number = min(page_number(query), max(-(-len(items) // size), 1))
    return Part(items[(number - 1) * size : number * size], len(items), number, size)


def link(path: str, /, **query: str | int) -> str:
    """An address of the page, relative to its root; what is empty is left out."""
    pairs = {name: value for name, value in query.items() if value not in ("", 0)}
    return f"{path}?{urlencode(pairs)}" if pairs else path
