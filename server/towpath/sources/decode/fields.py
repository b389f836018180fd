"""Reader: typed access to one mapping of a custom resource; what is wrong becomes Problems.

A wrong type never stops the reading: the field has its default instead, and the others keep
their meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from towpath.model.codes import Code
from towpath.model.names import Stamp
from towpath.sources.decode.findings import Findings, show
from towpath.sources.decode.schema import Schema, shortened

T = TypeVar("T", bool, int, str)


class Reader:
    """One mapping at *path* (dotted, "" for the object itself), and where its Problems go.

    With *schema*, fields that are not among them make it `misspelt`, and are read in the place of
    the one that each is most like.
    """

    def __init__(
        self, raw: Mapping[str, object], path: str, findings: Findings, schema: Schema | None = None
    ) -> None:
        self._raw = raw
        self._path = path
        self._findings = findings
        self._schema = schema
        self._written: dict[str, str] = {}  # how a field that is read by its right name is spelt
        self.misspelt = False
        if schema is not None:
            self._read_as_meant(schema)

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
        return tuple(text for _, text in self.texts_at(name))

    def texts_at(self, name: str) -> tuple[tuple[str, str], ...]:
        """The same, each behind the path at which it stands."""
        texts = []
        for path, item in self.items(name):
            if isinstance(item, str):
                texts.append((path, item))
            else:
                self._findings.invalid(path, item, allowed="a string", effect="it is left out")
        return tuple(texts)

    def items(self, name: str) -> Iterator[tuple[str, object]]:
        """The items of a list as they are, each behind the path at which it stands."""
        value, path = self._raw.get(name), self.path(name)
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield f"{path}[{index}]", item
        elif value is not None:
            self._findings.invalid(path, value, allowed="a list", effect="it is not used")

    def stamp(self) -> Stamp:
        """The metadata's uid and generation, for a whole object's reader."""
        metadata = self.section("metadata")
        generation = metadata.number("generation", lowest=0, highest=2**63 - 1, default=0)
        return Stamp(metadata.text("uid"), generation)

    def section(self, name: str) -> Reader:
        """The mapping in that field; an empty one if it is absent or not a mapping."""
        value, path = self._raw.get(name), self.path(name)
        if value is not None and not isinstance(value, dict):
            self._findings.invalid(path, value, allowed="a mapping", effect="it is not used")
        return self._below(name, value if isinstance(value, dict) else {}, path)

    def sections(self, name: str) -> tuple[Reader, ...]:
        """A list of mappings; an item that is not one is left out."""
        readers = []
        for path, item in self.items(name):
            if isinstance(item, dict):
                readers.append(self._below(name, item, path))
            else:
                self._findings.invalid(path, item, allowed="a mapping", effect="it is left out")
        return tuple(readers)

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        """A list of mappings from strings to strings, or one mapping, as pairs."""
        pairs = []
        value = self._raw.get(name)
        readers = (self.section(name),) if isinstance(value, dict) else self.sections(name)
        for reader in readers:
            for key, value in reader.entries():
                if isinstance(value, str):
                    pairs.append((key, value))
                else:
                    reader.left_out(key, value, allowed="a string")
        return tuple(pairs)

    def entries(self) -> tuple[tuple[str, object], ...]:
        """Every field and its value, as they are."""
        return tuple(self._raw.items())

    def value(self, name: str) -> object:
        """The field as it is; None if it is absent."""
        return self._raw.get(name)

    def has(self, name: str) -> bool:
        """True if the field is there and not null."""
        return self._raw.get(name) is not None

    def may_be_mapping(self, name: str) -> bool:
        """True for a mapping, and where there is nothing."""
        return self._raw.get(name) is None or isinstance(self._raw[name], dict)

    def is_empty(self, name: str) -> bool:
        """True for an empty list, and for nothing else that is there."""
        return self._raw.get(name) == []

    def length(self, name: str) -> int:
        """How many items the field has: anything but a list counts as one, if it is there."""
        value = self._raw.get(name)
        return len(value) if isinstance(value, list) else int(value is not None)

    def left_out(self, name: str, value: object, *, allowed: str) -> None:
        """Say that a value is not allowed, and that what it belongs to is not used."""
        self._findings.invalid(self.path(name), value, allowed=allowed, effect="it is left out")

    def path(self, name: str) -> str:
        return ".".join(part for part in (self._path, self._written.get(name, name)) if part)

    def _below(self, name: str, raw: Mapping[str, object], path: str) -> Reader:
        schema = self._schema.sections.get(name) if self._schema else None
        return Reader(raw, path, self._findings, schema)

    def _read_as_meant(self, schema: Schema) -> None:
        for name in schema.misspelt(self._raw):
            self.misspelt = True
            if self._findings.full:
                # The other names are looked for only as long as anybody is told of them.
                break
            near = schema.nearest(name)
            if near is not None and near not in self._raw:
                self._raw = {**self._raw, near: self._raw[name]}
                self._written[near] = shortened(name)

    def _wrong(self, name: str, value: object, *, allowed: str, default: T) -> T:
        effect = f"{show(default)} is used"
        self._findings.invalid(self.path(name), value, allowed=allowed, effect=effect)
        return default


def _mappings(path: str, value: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    if isinstance(value, dict):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield f"{path}[{index}]", item


def report_unknown(
    raw: Mapping[str, object], schema: Schema, findings: Findings
) -> tuple[str, ...]:
    """Say of each field of an object that is not known which known one is nearest; gives their
    names, at whatever depth.
    """
    return tuple(_unknown(raw, "", schema, findings))


def _unknown(
    raw: Mapping[str, object], path: str, schema: Schema, findings: Findings
) -> Iterator[str]:
    for name, value in raw.items():
        here = f"{path}.{shortened(name)}" if path else shortened(name)
        if name in schema.sections:
            for at, mapping in _mappings(here, value):
                yield from _unknown(mapping, at, schema.sections[name], findings)
        elif name not in schema.plain:
            near = None if findings.full else schema.nearest(name)
            hint = f" (did you mean {near}?)" if near else ""
            message = f"is not a known field{hint}; {schema.effect}"
            findings.add(Code.UNKNOWN_FIELD, here, message)
            yield name
