"""What the command costs before it does anything."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import towpath.cli

COMMANDS = sys.modules["towpath.cli.main"].COMMANDS


MOST_MODULES = 110
"""How many modules --help and completion may import, Python's own included; grpc alone has more."""
LOOK = """
import contextlib, sys
before = set(sys.modules)
from towpath.__main__ import main
sys.argv = ["towpath", *sys.argv[1:]]
with contextlib.suppress(SystemExit):
    main()
new = set(sys.modules) - before
print(len(new), file=sys.stderr)
print(*sorted(name for name in new if name.startswith("towpath.cli.")), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--help",), {}),
        ((), {"_TOWPATH_COMPLETE": "bash_complete", "COMP_WORDS": "towpath s", "COMP_CWORD": "1"}),
    ],
    ids=["help", "completion"],
)
def test_help_and_completion_import_no_command(
    arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    count, commands = done.stderr.splitlines()

    assert int(count) <= MOST_MODULES
    assert "towpath.cli.main" == commands


def test_the_list_of_commands_says_what_their_own_help_says() -> None:
    context = click.Context(towpath.cli.main)
    commands = {name: towpath.cli.main.get_command(context, name) for name in COMMANDS}

    assert COMMANDS == {
        name: command.get_short_help_str(limit=200) for name, command in commands.items() if command
    }


def test_only_the_command_itself_imports_the_file_of_one_of_its_commands() -> None:
    folder = Path(towpath.cli.__file__).parent
    commands = {command.replace("-", "_") for command in COMMANDS}
    files = {path.stem: path for path in folder.glob("*.py")}
    importers = {
        name: {
            node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        }
        for name, path in files.items()
    }
    shared = {
        (name, module)
        for name, modules in importers.items()
        for module in modules & {f"towpath.cli.{command}" for command in commands}
        if name != "main"
    }

    assert commands <= files.keys()
    assert set() == shared
