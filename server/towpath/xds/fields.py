"""The fields of an encoded protobuf message, one after the other, and nothing made of them: what is
too much can be refused before it takes a multiple of its bytes.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

from towpath import varint
from towpath.xds.limits import LimitExceeded

_VARINT, _FIXED64, BYTES, _FIXED32 = 0, 1, 2, 5


class MalformedError(ValueError):
    """These bytes are no protobuf message."""


def fields(data: bytes, *, most: int) -> Iterator[tuple[int, bytes]]:
    """The number and the bytes of each field that has a length; others are passed over.

    Raises LimitExceeded for more than *most* fields, MalformedError for what is no message.
    """
    at, count = 0, 0
    try:
        while at < len(data):
            count += 1
            if count > most:
                raise LimitExceeded("fields", f"a message of more than {most:,} fields")
            tag, at = varint.decoded(data, at)
            wire_type = tag & 7
            if wire_type == BYTES:
                length, at = varint.decoded(data, at)
                start, at = at, at + length
                if at <= len(data):
                    yield tag >> 3, data[start:at]
            elif wire_type == _VARINT:
                _, at = varint.decoded(data, at)
            elif wire_type in (_FIXED64, _FIXED32):
                at += 8 if wire_type == _FIXED64 else 4
            else:
                raise MalformedError(f"no wire type {wire_type}")
    except varint.EndlessError as error:
        raise MalformedError(str(error)) from error
    if at > len(data):
        raise MalformedError("a field that is longer than the message")


def text(data: bytes) -> str:
    """A string field. Raises MalformedError if it is no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("a string that is not UTF-8") from error


def text_field(number: int, value: str) -> bytes:
    return field(number, value.encode())


def number_field(number: int, value: int) -> bytes:
    """A field that is a number, encoded."""
    return varint.encoded(number << 3) + varint.encoded(value)


def field(number: int, value: bytes) -> bytes:
    """A field that has a length, encoded."""
    return varint.encoded(number << 3 | 2) + varint.encoded(len(value)) + value
