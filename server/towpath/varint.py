"""Numbers as protobuf writes them: seven bits a byte, the lowest first.

https://protobuf.dev/programming-guides/encoding/#varints
"""

from __future__ import annotations

LONGEST = 10
"""Bytes of the largest number."""


class EndlessError(ValueError):
    """The bytes of a number do not end, or not where they must."""


_SMALL = tuple(bytes((value,)) for value in range(0x80))


def encoded(number: int) -> bytes:
    """The bytes of a number that is not negative."""
    if number < 0x80:
        return _SMALL[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def decoded(data: bytes, at: int) -> tuple[int, int]:
    """The number at *at*, and where the next thing begins.

    Raises EndlessError if there is none, or it is too long.
    """
    number = 0
    for index, byte in enumerate(data[at : at + LONGEST]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number, at + index + 1
    raise EndlessError("a number that is too long, or does not end")
