"""Reader: typed access to one mapping of a custom resource; what is wrong becomes Problems.

A wrong type never stops the reading: the field has its default instead, and the others keep
their meaning.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from towpath.model.names import Stamp
from towpath.model.problem import Reason
from towpath.sources.decode.findings import Findings, show

T = TypeVar("T", bool, int, str)

_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Known:
    """The names that a mapping may have: plain ones, and those that hold mappings in turn.

    A name in `sections` may hold one mapping or a list of them. What is inside a plain field
    is not looked at.
    """

    plain: frozenset[str] = frozenset()
    sections: Mapping[str, Known] = field(default_factory=dict)

    @classmethod
    def of(cls, *plain: str, **sections: Known) -> Known:
        return cls(frozenset(plain), sections)

    @property
    def names(self) -> frozenset[str]:
        return self.plain | self.sections.keys()


class Reader:
    """One mapping at *path* (dotted, "" for the object itself), and where its Problems go."""

    def __init__(self, raw: Mapping[str, object], path: str, found: Findings) -> None:
        self._raw = raw
        self._path = path
        self._found = found

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._raw.get(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        return self._wrong(name, value, allowed="true or false", default=default)

    def text(self, name: str, *, default: str = "") -> str:
        value = self._raw.get(name)
        if value is None or isinstance(value, str):
            return default if value is None else value
        return self._wrong(name, value, allowed="a string", default=default)

    def number(self, name: str, *, lowest: int, highest: int, default: int) -> int:
        value = self._raw.get(name)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        allowed = f"an integer from {lowest} to {highest}"
        return self._wrong(name, value, allowed=allowed, default=default)

    def choice(self, name: str, allowed: Sequence[str], *, default: str) -> str:
        value = self._raw.get(name)
        if value is None:
            return default
        if isinstance(value, str) and value in allowed:
            return value
        return self._wrong(name, value, allowed=", ".join(map(show, allowed)), default=default)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; an item that is not one is left out."""
        texts = []
        for path, item in self._items(name):
            if isinstance(item, str):
                texts.append(item)
            else:
                self._found.invalid(path, item, allowed="a string", effect="it is left out")
        return tuple(texts)

    def stamp(self) -> Stamp:
        """The metadata's uid and generation, for a whole object's reader."""
        metadata = self.section("metadata")
        generation = metadata.number("generation", lowest=0, highest=2**63 - 1, default=0)
        return Stamp(metadata.text("uid"), generation)

    def section(self, name: str) -> Reader:
        """The mapping in that field; an empty one if it is absent or not a mapping."""
        value, path = self._raw.get(name), self.path(name)
        if value is not None and not isinstance(value, dict):
            self._found.invalid(path, value, allowed="a mapping", effect="it is not used")
        return Reader(value if isinstance(value, dict) else {}, path, self._found)

    def sections(self, name: str) -> tuple[Reader, ...]:
        """A list of mappings; an item that is not one is left out."""
        readers = []
        for path, item in self._items(name):
            if isinstance(item, dict):
                readers.append(Reader(item, path, self._found))
            else:
                self._found.invalid(path, item, allowed="a mapping", effect="it is left out")
        return tuple(readers)

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        """A list of mappings from strings to strings, or one mapping, as pairs."""
        found = []
        value = self._raw.get(name)
        readers = (self.section(name),) if isinstance(value, dict) else self.sections(name)
        for reader in readers:
            for key, value in reader.entries():
                if isinstance(value, str):
                    found.append((key, value))
                else:
                    reader.left_out(key, value, allowed="a string")
        return tuple(found)

    def entries(self) -> tuple[tuple[str, object], ...]:
        """Every field and its value, as they are."""
        return tuple(self._raw.items())

    def value(self, name: str) -> object:
        """The field as it is; None if it is absent."""
        return self._raw.get(name)

    def has(self, name: str) -> bool:
        """True if the field is there and not null."""
        return self._raw.get(name) is not None

    def is_empty(self, name: str) -> bool:
        """True for an empty list, and for nothing else that is there."""
        return self._raw.get(name) == []

    def length(self, name: str) -> int:
        """How many items the field has: anything but a list counts as one, if it is there."""
        value = self._raw.get(name)
        return len(value) if isinstance(value, list) else int(value is not None)

    def left_out(self, name: str, value: object, *, allowed: str) -> None:
        """Say that a value is not allowed, and that what it belongs to is not used."""
        self._found.invalid(self.path(name), value, allowed=allowed, effect="it is left out")

    def path(self, name: str) -> str:
        return ".".join(part for part in (self._path, name) if part)

    def report_unknown(self, known: Known) -> None:
        """Say of each field that is not known which known one is nearest, here and below."""
        for name, value in self._raw.items():
            if name in known.sections:
                path = self.path(name)
                for at, mapping in _mappings(path, value):
                    Reader(mapping, at, self._found).report_unknown(known.sections[name])
            elif name not in known.plain:
                shown = name[:_SHOWN_CHARACTERS]
                near = None if self._found.full else _nearest(shown, known.names)
                hint = f"; did you mean {near}?" if near else ""
                message = f"is not a known field and is not used{hint}"
                self._found.add(Reason.UNKNOWN_FIELD, self.path(shown), message)

    def _items(self, name: str) -> Iterator[tuple[str, object]]:
        value, path = self._raw.get(name), self.path(name)
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield f"{path}[{index}]", item
        elif value is not None:
            self._found.invalid(path, value, allowed="a list", effect="it is not used")

    def _wrong(self, name: str, value: object, *, allowed: str, default: T) -> T:
        effect = f"{show(default)} is used"
        self._found.invalid(self.path(name), value, allowed=allowed, effect=effect)
        return default


def _mappings(path: str, value: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    if isinstance(value, dict):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield f"{path}[{index}]", item


def _nearest(name: str, known: frozenset[str]) -> str | None:
    """The known name most like *name*, letter case apart; None if nothing is like it."""
    folded = {k.lower(): k for k in sorted(known)}
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    return folded[near[0]] if near else None
