"""JSON patches (RFC 6902): what changes between two values, in few operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Operation = dict[str, Any]


def json_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Operation]:
    """The operations that make *after* of *before*; none if they are equal."""
    return list(_mapping("", before, after))


def _mapping(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Operation]:
    for name in before:
        if name not in after:
            yield {"op": "remove", "path": _below(path, name)}
    for name, value in after.items():
        here = _below(path, name)
        if name in before:
            yield from _value(here, before[name], value)
        else:
            yield {"op": "add", "path": here, "value": value}


def _value(path: str, before: Any, after: Any) -> Iterator[Operation]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _mapping(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _items(path, before, after)
    elif before != after or type(before) is not type(after):
        yield {"op": "replace", "path": path, "value": after}


def _items(path: str, before: list[Any], after: list[Any]) -> Iterator[Operation]:
    """Items that have names are the same item if they have the same name, in the same order."""
    old, new = [_name(item) for item in before], [_name(item) for item in after]
    there = {*old}
    if None in (*old, *new) or [name for name in new if name in there] != old:
        yield from _items_by_place(path, before, after)
        return
    place = 0
    for index, name in enumerate(new):
        if name in there:
            yield from _value(f"{path}/{index}", before[place], after[index])
            place += 1
        else:
            yield {"op": "add", "path": f"{path}/{index}", "value": after[index]}


def _items_by_place(path: str, before: list[Any], after: list[Any]) -> Iterator[Operation]:
    if before != after:
        yield {"op": "replace", "path": path, "value": after}


def _name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


def _below(path: str, name: str) -> str:
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
