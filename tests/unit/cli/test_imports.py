"""What the command costs before it does anything."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import towpath.cli


def test_help_does_not_import_what_single_commands_need() -> None:
    look = "import sys, towpath.cli; print([m for m in HEAVY if m in sys.modules])"
    code = f"HEAVY = ('kubernetes', 'cryptography'); {look}"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"


def test_only_the_command_itself_imports_the_file_of_one_of_its_commands() -> None:
    folder = Path(towpath.cli.__file__).parent
    commands = {command.replace("-", "_") for command in towpath.cli.main.commands}
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
