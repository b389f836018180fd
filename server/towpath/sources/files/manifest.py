"""Manifest: one file's bytes to decoded objects, each with the place where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from towpath.sources.decode import Decoded, decode, expand
from towpath.sources.files.document import Document, Unreadable, line_at, place
from towpath.sources.files.jsontext import parse_json
from towpath.sources.files.yamltext import parse_yaml

LARGEST_FILE = 10 * 1024 * 1024
"""Bytes; a larger file is refused."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One decoded object and where it stands (`apps/shop.yaml:12`)."""

    decoded: Decoded
    source: str


def read_manifest(name: str, data: bytes) -> tuple[Entry, ...]:
    """The objects in the file *name*, in order. Raises Unreadable."""
    return tuple(Entry(decode(raw, source), source) for raw, source in read_objects(name, data))


def read_objects(name: str, data: bytes) -> Iterator[tuple[object, str]]:
    """The same before they are decoded, each with the place where it stands. Raises Unreadable."""
    if len(data) > LARGEST_FILE:
        raise Unreadable(1, f"larger than {LARGEST_FILE:,} bytes")
    for document in _documents(name, data):
        for raw in expand(document.value):
            yield raw, place(name, document.line_of(raw))


def _documents(name: str, data: bytes) -> list[Document]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 text (byte 0x{data[error.start]:02x})"
        raise Unreadable(line_at(data, error.start), reason) from error
    return parse_json(text) if name.endswith(".json") else parse_yaml(text.encode())
