"""The form of a summary: blocks with a heading, lines in columns, and how values are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration

INDENT = "  "
ARROW = " -> "


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, and below it lines that are one step further in."""

    heading: str
    lines: tuple[str, ...] = ()


def indented(lines: Iterable[str]) -> Iterable[str]:
    """The lines one step further in."""
    return (INDENT + line for line in lines)


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """A line for each row, with each cell as wide as its column."""
    table = [tuple(row) for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    return [
        INDENT.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def address(value: Any) -> str:
    """`10.0.0.1:80` of an envoy.config.core.v3.Address; [::1]:80 with IPv6."""
    socket = value.socket_address
    host = f"[{socket.address}]" if ":" in socket.address else socket.address
    return f"{host}:{socket.port_value}"


def duration(value: Duration) -> str:
    """`0.25s`."""
    return f"{value.ToMilliseconds() / 1000:g}s"


def share(weight: int, weights: Iterable[int]) -> str:
    """` (weight 3)` where weights differ; nothing where all are the same."""
    return f" (weight {weight})" if len(set(weights)) > 1 else ""
