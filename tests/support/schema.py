"""What a CustomResourceDefinition's schema says of a value, as far as our schemas go; no CEL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
_WORDS = {
    *("type", "description", "properties", "required", "items", "additionalProperties", "enum"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "format"),
    *("x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}


def violations(schema: Any, value: Any, path: str = "spec") -> list[str]:
    """Everything that is wrong with the value; a field that the schema does not have too."""
    unknown = schema.keys() - _WORDS
    assert not unknown, f"{path}: this check does not know {sorted(unknown)}"
    wanted = schema["type"]
    if not isinstance(value, _TYPES[wanted]) or (isinstance(value, bool) != (wanted == "boolean")):
        return [f"{path}: {value!r} is no {wanted}"]
    return [*_plain(schema, value, path), *_inner(schema, value, path)]


def _plain(schema: Any, value: Any, path: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"
    size = len(value) if isinstance(value, str | list) else value
    for word in ("minimum", "minLength", "minItems"):
        if word in schema and size < schema[word]:
            yield f"{path}: {size} is below {schema[word]}"
    for word in ("maximum", "maxLength", "maxItems"):
        if word in schema and size > schema[word]:
            yield f"{path}: {size} is above {schema[word]}"


def _inner(schema: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from violations(schema["items"], item, f"{path}[{index}]")
    if not isinstance(value, dict):
        return
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: is missing"
    for name, field in value.items():
        if name in schema.get("properties", {}):
            yield from violations(schema["properties"][name], field, f"{path}.{name}")
        elif "additionalProperties" in schema:
            yield from violations(schema["additionalProperties"], field, f"{path}.{name}")
        elif "properties" in schema:
            yield f"{path}.{name}: is not in the schema"
