"""Form: an encoded resource in which one text is left blank, for many that differ in it alone.

Each is then put together from bytes that all share: a message of protobuf says how long it is
before what is in it, so that only these lengths, around the blank, are to be written anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from towpath import wire_format
from towpath.model.snapshot import Filled, FilledLayer, Layer, Resource, content_hash

BLANK = "\0blank\0"
"""What stands where the text is left blank; no name of anything has it."""

_BLANK = BLANK.encode()


class Form(Resource):
    """What is encoded with one `BLANK`, as a whole text of its own."""

    __slots__ = ("_heads", "_tail")
    _heads: tuple[tuple[bytes, int], ...]
    _tail: bytes

    @classmethod
    def around(cls, blank: Resource) -> Form:
        """ValueError if there is no blank in it, or more than one."""
        form = cls(blank.type_url, blank.name, blank.version, blank.packed)
        data = blank.packed
        if data.count(_BLANK) != 1:
            raise ValueError(f"{blank.name} has {data.count(_BLANK)} blanks")
        heads, begin = [], 0
        for at, content, length in _around(data, data.index(_BLANK)):
            heads.append((data[begin:at], length))
            begin = content
        object.__setattr__(form, "_heads", tuple(heads))
        object.__setattr__(form, "_tail", data[begin + len(_BLANK) :])
        return form

    def filled(self, text: bytes) -> Resource:
        """The resource with that text in the place of the blank; it must not be empty, as protobuf
        leaves out what is.
        """
        version = content_hash(self.version.encode(), text)
        return Filled(self, version, partial(self._fill, text))

    def _fill(self, text: bytes) -> bytes:
        parts, more = [self._tail, text], len(text) - len(_BLANK)
        # From within: a longer message may have a longer length, which the next one holds.
        for head, length in reversed(self._heads):
            written = wire_format.encoded(length + more)
            parts += [written, head]
            more += len(written) - len(wire_format.encoded(length))
        parts.reverse()
        return b"".join(parts)


def filled(forms: Layer, text: str) -> Layer:
    """All of these `forms` with that text."""
    return FilledLayer(forms, text, partial(_filled, text.encode()))


def _filled(text: bytes, form: Resource) -> Resource:
    assert isinstance(form, Form)
    return form.filled(text)


def _around(data: bytes, target: int) -> Iterator[tuple[int, int, int]]:
    """Of each message around the text at *target*, from without, and of the text itself: where its
    length and where its content begin, and the length.
    """
    position = 0
    while True:
        tag, at = wire_format.number_at(data, position)
        if tag & 7 == wire_format.BYTES:
            length, content = wire_format.number_at(data, at)
            if content <= target < content + length:
                yield at, content, length
                position = content
            else:
                position = content + length
            if content == target:
                return
        else:
            position = wire_format.end_of(data, at, tag & 7)
