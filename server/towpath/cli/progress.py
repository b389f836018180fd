"""What people at a terminal are shown while a command takes long; programs are shown nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import click

from towpath.model.text import printable

T = TypeVar("T")

MANY = 500
"""From so many things on, people are shown how many of them are done."""


def progress(things: list[T], label: str) -> AbstractContextManager[Iterable[T]]:
    """The things, with a bar on a terminal if there are many."""
    if len(things) < MANY or not sys.stderr.isatty():
        return nullcontext(things)
    return click.progressbar(things, label=label, file=sys.stderr)


@contextlib.contextmanager
def stage(text: str) -> Iterator[None]:
    """Say on a terminal what is under way, until it is done."""
    if not sys.stderr.isatty():
        yield
        return
    click.echo(f"{printable(text)} …", nl=False, err=True)
    try:
        yield
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)
