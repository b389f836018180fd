"""Entries of the lists of what passes by the sidecar, or alone goes through it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Generic, TypeVar

from towpath.sources.decode.hosts import ipv4_range, narrowed
from towpath.sources.decode.names import is_port

T = TypeVar("T", int, str)

_INTERFACE = re.compile(r"(?=.{1,15}\Z)[A-Za-z0-9_.][A-Za-z0-9_.:@-]*\+?")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """What is meant by a text; with a `remark` if that is not all that it could mean."""

    value: T
    remark: str = ""


@dataclass(frozen=True, slots=True)
class EntryRule(Generic[T]):
    """What an entry of a list may be: in words, and as a reading of it (None: it is not)."""

    words: str
    read: Callable[[str], Entry[T] | None]


def _port(text: str) -> Entry[int] | None:
    digits = text.isascii() and text.isdecimal() and len(text) <= 5
    return Entry(int(text)) if digits and is_port(int(text)) else None


def _excluded_range(text: str) -> Entry[str] | None:
    """Of an address with the length of a network, that address: the less that passes by."""
    value = ipv4_range(text)
    return None if value is None else Entry(value, narrowed(text, value) or "")


def _included_range(text: str) -> Entry[str] | None:
    """The whole of the network: the more that goes through."""
    value = ipv4_range(text)
    if value is None:
        return None
    whole = str(IPv4Network(text, strict=False))
    if whole == value:
        return Entry(whole)
    return Entry(whole, f"is an address inside of {whole}, all of which goes through the sidecar")


def _interface(text: str) -> Entry[str] | None:
    return Entry(text) if _INTERFACE.fullmatch(text) else None


_RANGES = "an IPv4 range with its length, such as 10.0.0.0/8"

PORT = EntryRule("a port from 1 to 65535", _port)
EXCLUDED_RANGE = EntryRule(_RANGES, _excluded_range)
INCLUDED_RANGE = EntryRule(_RANGES, _included_range)
INTERFACE = EntryRule(
    "the name of a network interface, of at most 15 letters, digits, '.', '_', ':', '@' and '-' "
    "(a '+' at its end stands for whatever follows)",
    _interface,
)
