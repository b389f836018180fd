"""JSON text to documents: one or more values, one after the other, as `kubectl` reads them."""

from __future__ import annotations

import json
import re

from towpath.sources.files.document import Document, Unreadable

_SPACE = re.compile(r"[ \t\r\n]*")


def parse_json(text: str) -> list[Document]:
    """All documents that are not null. Raises Unreadable."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number)
    documents = []
    escapes = "\\u" in text
    at, line = _skip_space(text, 0), 1
    counted = 0
    while at < len(text):
        # Each character is looked at once, however many documents there are.
        line += text.count("\n", counted, at)
        counted = at
        try:
            value, at = decoder.raw_decode(text, at)
            if escapes and not _is_text(value):
                raise Unreadable(line, "an escape \\u stands for half a character")
        except json.JSONDecodeError as error:
            raise Unreadable(error.lineno, error.msg) from error
        except RecursionError as error:
            raise Unreadable(line, "nested too deeply") from error
        except ValueError as error:
            raise Unreadable(line, str(error)) from error
        if value is not None:
            documents.append(Document(value, line))
        at = _skip_space(text, at)
    return documents


def _skip_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value: dict[str, object] = {}
    for key, item in pairs:
        if key in value:
            raise ValueError(f'the key "{key}" is there twice in one mapping')
        value[key] = item
    return value


def _is_text(value: object) -> bool:
    """True if the value can be written again, as in a log or a message."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is not JSON")
