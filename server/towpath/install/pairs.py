"""The syntax of `--set`, which is Helm's: `a.b=text`, `a.list={x,y}`, `a.list[0].key=text`.

Several pairs may stand in one text, parted by commas; a backslash takes a dot or a comma literally.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LONGEST_LIST = 100
MOST_STEPS = 32
_STEP = re.compile(r"((?:[^.\\\[\]]|\\.)+)|\[([0-9]{1,6})\]|\.")
_ESCAPE = re.compile(r"\\(.)")

Step = str | int
"""The name of a field, or a place in a list."""


class PairError(Exception):
    """A text that is not KEY=VALUE; the message says why."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Where something is set, and to what: a text, or a list of texts."""

    path: tuple[Step, ...]
    value: str | list[str]


def pairs_of(text: str) -> Iterator[Pair]:
    """The pairs of one `--set`. Raises PairError."""
    for part in _parted(text, ","):
        name, equals, value = part.strip().partition("=")
        path = _path(name.strip()) if equals else ()
        if not path:
            raise PairError(f"{part!r} is not KEY=VALUE")
        if len(path) > MOST_STEPS:
            raise PairError(f"{part[:60]!r}… has {len(path)} steps: allowed are {MOST_STEPS}")
        yield Pair(path, _value(value.strip()))


def put(structure: Any, path: tuple[Step, ...], value: Any) -> Any:
    """*structure* with the value at that path; what is there already stays beside it. A place at
    the end of a list makes it longer; the text `null` takes away.

    Raises PairError if the path does not fit the structure.
    """
    if not path:
        return value
    step, *rest = path
    if isinstance(step, int):
        items = list(structure) if isinstance(structure, list | tuple) else []
        if not step <= len(items) < LONGEST_LIST:
            raise PairError(f"[{step}] leaves a gap: the list has {len(items)} entries")
        inner = items[step] if step < len(items) else None
        return [*items[:step], put(inner, tuple(rest), value), *items[step + 1 :]]
    fields = dict(structure) if isinstance(structure, dict) else {}
    fields[step] = put(fields.get(step), tuple(rest), value)
    if not rest and value == "null":
        del fields[step]
    return fields


def _path(text: str) -> tuple[Step, ...]:
    """The steps of a key; empty if it is none."""
    steps: list[Step] = []
    place = 0
    while place < len(text):
        step = _STEP.match(text, place)
        if step is None:
            return ()
        name, index = step[1], step[2]
        if name is not None:
            steps.append(_ESCAPE.sub(r"\1", name))
        elif index is not None:
            steps.append(int(index))
        place = step.end()
    return tuple(steps)


def _value(text: str) -> str | list[str]:
    if text.startswith("{") and text.endswith("}"):
        inner = text[1:-1].strip()
        return [_literal(one.strip()) for one in _parted(inner, ",")] if inner else []
    return _literal(text)


def _literal(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)


def _parted(text: str, at: str) -> Iterator[str]:
    """The parts between the commas that stand outside of braces."""
    depth, begin, place = 0, 0, 0
    while place < len(text):
        mark = text[place]
        if mark == "\\":
            place += 1
        elif mark in "{}":
            depth += 1 if mark == "{" else -1
        elif mark == at and depth == 0:
            yield text[begin:place]
            begin = place + 1
        place += 1
    yield text[begin:]
