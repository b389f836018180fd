"""The `towpath` command, one file for each of its commands.

Knows nothing of how anything is done: a command reads its options, calls one part, and prints.
Begin with `main`, then the file that has the command's name.
"""

from towpath.cli.main import main

__all__ = ["main"]
