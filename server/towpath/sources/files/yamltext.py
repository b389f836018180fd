"""YAML text to documents, strictly: bounded, with lines, and nothing that YAML can run.

The values are built from libyaml's events, not with its composer, which recurses in C and can be
made to crash. Values that aliases repeat are shared, but counted each time they are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from yaml.reader import ReaderError

from towpath.sources.files.document import Document, Unreadable, line_at
from towpath.sources.files.scalars import resolve

DEEPEST = 100
"""How deep values may be nested; no Kubernetes object comes near it."""

MOST_ALIASED_NODES = 100_000
"""How many nodes all aliases of one file may stand for."""

_TAG = "tag:yaml.org,2002:"
_SCALAR_TYPES = {
    f"{_TAG}null": (type(None),),
    f"{_TAG}bool": (bool,),
    f"{_TAG}int": (int,),
    f"{_TAG}float": (float, int),
}
_TEXT_TAGS = (f"{_TAG}str", f"{_TAG}timestamp", "!")


class _Merge:
    """The key `<<`: what it holds is merged into the mapping."""


_MERGE = _Merge()


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet; `size` counts the nodes in it."""

    value: dict[str, object] | list[object]
    line: int
    anchor: str | None
    size: int = 1
    key: str | _Merge | None = None
    merged: list[dict[str, object]] = field(default_factory=list)


def parse_yaml(data: bytes) -> list[Document]:
    """All documents that are not empty. Raises Unreadable."""
    try:
        return list(_documents(yaml.parse(data, Loader=yaml.CSafeLoader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise Unreadable(mark.line + 1 if mark else 1, what) from error
    except ReaderError as error:
        reason = f"the character {error.character!r} is not allowed"
        raise Unreadable(line_at(data, error.position), reason) from error


def _documents(events: Iterator[yaml.Event]) -> Iterator[Document]:
    aliased = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            built = _Builder(aliased)
            line = built.build(events)
            aliased = built.aliased
            if built.root is not None:
                yield Document(built.root, line, built.item_lines)


class _Builder:
    """Builds one document from its events."""

    def __init__(self, aliased: int) -> None:
        self.root: object = None
        self.aliased = aliased
        self.item_lines: dict[int, int] = {}
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[object, int]] = {}

    def build(self, events: Iterator[yaml.Event]) -> int:
        """Take events up to the document's end; the line at which its value starts."""
        first = 0
        for event in events:
            line = event.start_mark.line + 1 if event.start_mark else 1
            first = first or line
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event, line)
            elif isinstance(event, yaml.MappingStartEvent):
                self._open({}, event, line, tag=f"{_TAG}map")
            elif isinstance(event, yaml.SequenceStartEvent):
                self._open([], event, line, tag=f"{_TAG}seq")
            elif isinstance(event, yaml.AliasEvent):
                self._alias(str(event.anchor), line)
            elif isinstance(event, yaml.DocumentEndEvent):
                break
            else:
                self._close()
        return first

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            plain = event.implicit[0] and not event.tag
            key = _MERGE if plain and event.value == "<<" else event.value
            if plain and not event.value:
                raise Unreadable(line, "a key is empty")
            if event.anchor:
                self._anchors[event.anchor] = (event.value, 1)
            self._key(top, key, line)
            return
        value = _scalar_value(event, line)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        self._add(value, line, size=1)

    def _open(
        self,
        value: dict[str, object] | list[object],
        event: yaml.CollectionStartEvent,
        line: int,
        *,
        tag: str,
    ) -> None:
        if event.tag not in (None, "!", tag):
            raise Unreadable(line, f"the tag {event.tag} is not allowed")
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            raise Unreadable(line, "a key must be text, not a mapping or a list")
        if len(self._stack) >= DEEPEST:
            raise Unreadable(line, f"nested more than {DEEPEST} deep")
        if event.anchor:
            # An alias inside would hold the value itself: until its end there is no such anchor.
            self._anchors.pop(event.anchor, None)
        self._stack.append(_Open(value, line, event.anchor))

    def _close(self) -> None:
        done = self._stack.pop()
        if isinstance(done.value, dict):
            for merged in done.merged:
                for key, value in merged.items():
                    done.value.setdefault(key, value)
            if len(self._stack) == 2:
                self.item_lines[id(done.value)] = done.line
        if done.anchor:
            self._anchors[done.anchor] = (done.value, done.size)
        self._add(done.value, done.line, size=done.size)

    def _alias(self, anchor: str, line: int) -> None:
        if anchor not in self._anchors:
            raise Unreadable(line, f"the alias *{anchor} stands for itself, or for nothing")
        value, size = self._anchors[anchor]
        self.aliased += size
        if self.aliased > MOST_ALIASED_NODES:
            reason = f"the aliases stand for more than {MOST_ALIASED_NODES:,} values"
            raise Unreadable(line, reason)
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            if not isinstance(value, str):
                raise Unreadable(line, f"a key must be text; the alias *{anchor} is not")
            self._key(top, value, line)
        else:
            self._add(value, line, size=size)

    def _key(self, top: _Open, key: str | _Merge, line: int) -> None:
        if isinstance(key, str) and key in top.value:
            raise Unreadable(line, f'the key "{key}" is there twice in one mapping')
        top.key = key

    def _add(self, value: object, line: int, *, size: int) -> None:
        if not self._stack:
            self.root = value
            return
        top = self._stack[-1]
        top.size += size
        if isinstance(top.value, list):
            top.value.append(value)
        elif isinstance(top.key, _Merge):
            parts = value if isinstance(value, list) else [value]
            for part in parts:
                if not isinstance(part, dict):
                    raise Unreadable(line, "only mappings can be merged with <<")
                top.merged.append(part)
        elif top.key is not None:
            top.value[top.key] = value
        top.key = None


def _scalar_value(event: yaml.ScalarEvent, line: int) -> object:
    text = str(event.value)
    if not event.tag:
        return resolve(text) if event.implicit[0] else text
    if event.tag in _TEXT_TAGS:
        return text
    if event.tag not in _SCALAR_TYPES:
        raise Unreadable(line, f"the tag {event.tag} is not allowed")
    value = resolve(text)
    if type(value) not in _SCALAR_TYPES[event.tag]:
        name = event.tag.removeprefix(_TAG)
        raise Unreadable(line, f'"{text[:60]}" is not of the type !!{name}')
    return value
