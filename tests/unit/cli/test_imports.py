"""What the command costs before it does anything."""

from __future__ import annotations

import subprocess
import sys


def test_help_does_not_import_what_single_commands_need() -> None:
    look = "import sys, towpath.cli; print([m for m in HEAVY if m in sys.modules])"
    code = f"HEAVY = ('kubernetes', 'cryptography'); {look}"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"
