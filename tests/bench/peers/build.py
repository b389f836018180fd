"""Build the peers with Go, once, into the cache of the tests."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.clients.build import CACHE

SOURCES = Path(__file__).parent


def program() -> Path:
    """The program, built if the cache does not have it yet; SystemExit without Go."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.go")) + sorted(SOURCES.glob("go.*")):
        digest.update(path.read_bytes())
    built = CACHE / "bench" / f"peers-{digest.hexdigest()[:12]}"
    if built.exists():
        return built
    if shutil.which("go") is None:
        sys.exit("the peers of this benchmark need Go: there is no go on PATH")
    built.parent.mkdir(parents=True, exist_ok=True)
    print("building the peers", file=sys.stderr)
    new = built.with_suffix(f".{os.getpid()}")
    subprocess.run(("go", "build", "-o", str(new), "."), cwd=SOURCES, check=True)
    new.rename(built)
    return built
