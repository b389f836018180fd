"""Tables and lines for people, as kubectl prints them, whatever the server's answer quotes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from towpath.model.text import printable


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below headings, each column as wide as its widest cell."""
    table = [headings, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def print_line(text: str) -> None:
    """Print one line below a table."""
    click.echo(printable(text))
