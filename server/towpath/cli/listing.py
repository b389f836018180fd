"""Listings: what commands that list have in common, as a table, names, JSON or YAML, once or on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import click

from towpath.model.text import printable

F = TypeVar("F", bound=Callable[..., Any])

OUTPUTS = ("table", "wide", "json", "yaml", "name")
WATCH_S = 2.0
NARROWEST = 12
"""Characters that a column keeps where a terminal is too narrow for all."""

GAP = "  "
CUT = "…"
_COLOURS: Mapping[str, str] = {"good": "green", "pending": "yellow", "bad": "red"}


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; with *wide*, a column of `-o wide` alone."""

    heading: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and what it means: `good`, `pending`, `bad`, or "" for neither."""

    text: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows of cells below columns, each with its name; the same as a document for programs; lines
    below the table, and one that sums it up.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | str]]
    names: Sequence[str]
    document: Any
    notes: Sequence[str] = ()
    summary: str = ""
    exit_code: int = 0


def output_option(command: F) -> F:
    """Add `--output`, for `show`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(OUTPUTS),
        default="table",
        show_default=True,
        help="A table for people, with more columns (wide); for programs JSON, YAML, or names.",
    )(command)


def listing_options(command: F) -> F:
    """Add `--output` and `--watch`, for `show`."""
    command = click.option(
        "-w",
        "--watch",
        is_flag=True,
        help=f"Ask again every {WATCH_S:g} s, and print what has changed, until it is interrupted.",
    )(command)
    return output_option(command)


def show(ask: Callable[[], Listing], output: str, *, watch: bool = False) -> NoReturn:
    """Print what *ask* gives, with *watch* again whenever it is another; exit with its code.

    What goes wrong ends it; with *watch* only if nothing was answered before.
    """
    text, exit_code = "", 0
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            try:
                listing = ask()
                exit_code = listing.exit_code
                if text != (text := rendered(listing, output, width=_width())) or not watch:
                    _print(listing, text, output, anew=watch)
            except click.ClickException as error:
                if not text:
                    raise
                error.show()
                exit_code = error.exit_code
            if not watch:
                break
            time.sleep(WATCH_S)
    raise SystemExit(exit_code)


def rendered(listing: Listing, output: str, *, width: int | None = None) -> str:
    """The listing in that form; *width* is that of a terminal, which no line exceeds if it can."""
    if output == "json":
        return json.dumps(listing.document, indent=2) + "\n"
    if output == "yaml":
        # A dozen milliseconds of imports that only this needs.
        import yaml

        text: str = yaml.safe_dump(listing.document, sort_keys=False, width=100)
        return text
    if output == "name":
        return "".join(f"{printable(name)}\n" for name in listing.names)
    chosen = [n for n, one in enumerate(listing.columns) if output == "wide" or not one.wide]
    table = [[Cell(listing.columns[n].heading) for n in chosen]]
    table += [[_printable(row[n]) for n in chosen] for row in listing.rows]
    lines = [*_lines(table, width), *map(printable, listing.notes)]
    return "".join(f"{line}\n" for line in lines)


def age(seconds: float) -> str:
    """How long ago, in the two largest units: `9s`, `4m10s`, `3h2m`, `5d1h`."""
    whole = max(int(seconds), 0)
    for unit, size, below, smaller in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size}{unit}" + (f"{rest}{below}" if rest else "")
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m" + (f"{rest}s" if rest else "") if minutes else f"{rest}s"


def summary_of(total: int, what: str, counts: Mapping[str, int]) -> str:
    """`143 sidecars: 141 ok, 2 rejecting`."""
    parts = [f"{count} {word}" for word, count in counts.items() if count]
    plural = "ies" if what.endswith("y") else "s"
    noun = what if total == 1 else what.removesuffix("y" if plural == "ies" else "") + plural
    return f"{total} {noun}" + (f": {', '.join(parts)}" if parts else "")


def _print(listing: Listing, text: str, output: str, *, anew: bool) -> None:
    if anew and sys.stdout.isatty():
        click.clear()
    click.echo(text, nl=False, color=False if os.environ.get("NO_COLOR") else None)
    if listing.summary and output in ("table", "wide"):
        click.echo(listing.summary, err=True)


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _printable(cell: Cell | str) -> Cell:
    text, meaning = (cell.text, cell.meaning) if isinstance(cell, Cell) else (cell, "")
    return Cell(printable(text), meaning)


def _lines(table: Sequence[Sequence[Cell]], width: int | None) -> list[str]:
    widths = [max(len(cell.text) for cell in column) for column in zip(*table, strict=True)]
    if width is not None:
        _narrow(widths, [len(cell.text) for cell in table[0]], width)
    return [
        GAP.join(
            _padded(cell, size, last=n == len(row) - 1)
            for n, (cell, size) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def _padded(cell: Cell, size: int, *, last: bool) -> str:
    text = cell.text if len(cell.text) <= size else cell.text[: size - 1] + CUT
    padding = "" if last else " " * (size - len(text))
    # click leaves colours out where output is no terminal.
    return (click.style(text, fg=_COLOURS[cell.meaning]) if cell.meaning else text) + padding


def _narrow(widths: list[int], headings: Sequence[int], width: int) -> None:
    """Take from the widest column, one by one, until all fit or none can give any more."""
    least = [max(NARROWEST, heading) for heading in headings]
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - width
    while excess > 0:
        able = [n for n, size in enumerate(widths) if size > least[n]]
        if not able:
            return
        widest = max(able, key=lambda n: widths[n])
        widths[widest] -= 1
        excess -= 1
