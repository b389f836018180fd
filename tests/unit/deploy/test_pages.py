"""Every command of every page: Towpath's own have the options and values that the page gives."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from support.deploy import DEPLOY
from support.pages import ANYTHING, Typed, commands
from towpath.cli import main

ROOT = DEPLOY.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
NAMES = ("towpath", "osm")


def arguments(typed: Typed) -> list[str] | None:
    """What is handed to Towpath's command, wherever it stands in the line; None if it does not."""
    words = shlex.split(typed.command.partition("\n")[0], comments=True)
    for name in NAMES:
        if name in words and (words.index(name) == 0 or words[words.index(name) - 1] == "--"):
            rest = words[words.index(name) + 1 :]
            ends = [rest.index(end) for end in ("&&", "|", ";", "&", ">") if end in rest]
            return rest[: min(ends, default=len(rest))]
    return None


OURS = [
    pytest.param(found, id=f"{page.stem}: {' '.join(found)}"[:100])
    for page in PAGES
    for typed in commands(page)
    if (found := arguments(typed)) is not None
]


@pytest.mark.parametrize("words", OURS)
def test_a_command_of_a_page_is_one_that_there_is(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ANYTHING not in words
    monkeypatch.chdir(tmp_path)
    for word in words:  # files that the reader has by now
        if word.endswith((".crt", ".key", ".pem")):
            (tmp_path / Path(word).name).touch()
    words = [Path(w).name if w.endswith((".crt", ".key", ".pem")) else w for w in words]

    context = click.Context(main, info_name="towpath")
    command: click.Command = main
    name: str | None = None
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    context = command.make_context(name, list(words), parent=context)

    assert [] == context.args


def test_the_pages_have_commands_of_ours() -> None:
    assert len(OURS) > 30
