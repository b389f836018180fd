"""What the machine must have for tests on a real Pipy; nothing in the gate brings it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from support.dataplane import needs as dataplane


def binary() -> str | None:
    """The program named by PIPY, else `pipy` on PATH."""
    return shutil.which(os.environ.get("PIPY") or "pipy")


def codebase() -> Path | None:
    """osm-edge's sidecar scripts: the folder named by PIPY_CODEBASE."""
    folder = os.environ.get("PIPY_CODEBASE")
    return Path(folder) if folder and (Path(folder) / "main.js").is_file() else None


def unmet() -> str:
    """What is missing here, in words; empty if nothing is."""
    if binary() is None:
        return "needs Pipy: there is no pipy on PATH or in PIPY (it is not part of the gate)"
    if codebase() is None:
        return "needs PIPY_CODEBASE, a folder of osm-edge's sidecar scripts (with its main.js)"
    return dataplane.unmet()
