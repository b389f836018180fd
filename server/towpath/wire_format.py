"""Protobuf's wire format: the fields of an encoded message, one after the other, and nothing made
of them, so that what is too much can be refused before it takes a multiple of its bytes.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

LONGEST_NUMBER = 10
"""Bytes of the largest number: seven bits a byte, the lowest first."""

_VARINT, _FIXED64, BYTES, _FIXED32 = 0, 1, 2, 5


class MalformedError(ValueError):
    """These bytes are no protobuf message."""


class ManyFieldsError(ValueError):
    """A message has more fields than it may."""


def fields(data: bytes, *, most: int) -> Iterator[tuple[int, bytes]]:
    """The number and the bytes of each field that has a length; others are passed over.

    Raises ManyFieldsError for more than *most* fields, MalformedError for what is no message.
    """
    at, count = 0, 0
    while at < len(data):
        count += 1
        if count > most:
            raise ManyFieldsError(f"a message of more than {most:,} fields")
        tag, at = number_at(data, at)
        wire_type = tag & 7
        if wire_type == BYTES:
            length, at = number_at(data, at)
            start, at = at, at + length
            if at <= len(data):
                yield tag >> 3, data[start:at]
        else:
            at = end_of(data, at, wire_type)
    if at > len(data):
        raise MalformedError("a field that is longer than the message")


def end_of(data: bytes, at: int, wire_type: int) -> int:
    """Where the content at *at*, of a field of that type, ends; the type is one without a length.

    Raises MalformedError for a type that there is not.
    """
    if wire_type == _VARINT:
        return number_at(data, at)[1]
    if wire_type in (_FIXED64, _FIXED32):
        return at + (8 if wire_type == _FIXED64 else 4)
    raise MalformedError(f"no wire type {wire_type}")


def number_at(data: bytes, at: int) -> tuple[int, int]:
    """The number at *at*, and where the next thing begins.

    Raises MalformedError if there is none, or it is too long.
    """
    number = 0
    for index, byte in enumerate(data[at : at + LONGEST_NUMBER]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number, at + index + 1
    raise MalformedError("a number that is too long, or does not end")


def text(data: bytes) -> str:
    """A string field. Raises MalformedError if it is no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("a string that is not UTF-8") from error


@lru_cache(maxsize=4096)  # tags and lengths: the same few, all the time
def encoded(number: int) -> bytes:
    """The bytes of a number that is not negative."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def text_field(number: int, value: str) -> bytes:
    """A field that is a text, encoded."""
    return field(number, value.encode())


def number_field(number: int, value: int) -> bytes:
    """A field that is a number, encoded."""
    return encoded(number << 3) + encoded(value)


def field(number: int, value: bytes) -> bytes:
    """A field that has a length, encoded."""
    return encoded(number << 3 | BYTES) + encoded(len(value)) + value
