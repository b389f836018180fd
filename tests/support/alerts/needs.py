"""promtool: on PATH, or where `tests/system.sh alerts` puts that of Debian's package."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CACHE = Path(os.environ.get("TOWPATH_TEST_CACHE") or Path.home() / ".cache" / "towpath-tests")


def promtool() -> str | None:
    """The program; None where there is none."""
    return shutil.which("promtool") or shutil.which("promtool", path=str(CACHE))


def unmet() -> str:
    """What is missing here, in words; empty if nothing is."""
    return "" if promtool() else "needs promtool (`tests/system.sh alerts` fetches it on Debian)"
