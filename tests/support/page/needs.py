"""Chromium, as `tests/system.sh browser` installs it, and what drives it."""

from __future__ import annotations

import importlib.util
import shutil


def chromium() -> str | None:
    """The program; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def unmet() -> str:
    """What is missing here, in words; empty if nothing is."""
    if importlib.util.find_spec("playwright") is None:
        return "needs playwright (`make setup` installs it)"
    return "" if chromium() else "needs Chromium (`tests/system.sh browser` installs it on Debian)"
