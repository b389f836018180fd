"""The `towpath` command, one file for each of its commands."""

from towpath.cli.main import main

__all__ = ["main"]
