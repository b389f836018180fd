"""Build the peers with Go, and the floor in C, once, into the cache of the tests."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from support.clients.build import CACHE

PEERS = Path(__file__).parent
FLOOR = PEERS.parent / "floor"


def program() -> Path:
    """The peers, built if the cache does not have them yet; SystemExit without Go."""
    return _built(PEERS, ("go", "build", "-o"), ".", patterns=("*.go", "go.*"))


def floor() -> Path:
    """The floor, built if the cache does not have it yet; SystemExit without a C compiler."""
    flags = ("-O2", "-std=c17", "-Wall", "-Wextra", "-Werror")
    return _built(FLOOR, ("cc", *flags, "-o"), "floor.c", patterns=("*.c",))


def _built(folder: Path, command: Sequence[str], source: str, *, patterns: Sequence[str]) -> Path:
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            digest.update(path.read_bytes())
    built = CACHE / "bench" / f"{folder.name}-{digest.hexdigest()[:12]}"
    if built.exists():
        return built
    if shutil.which(command[0]) is None:
        sys.exit(f"this benchmark builds {folder.name}: there is no {command[0]} on PATH")
    built.parent.mkdir(parents=True, exist_ok=True)
    print(f"building {folder.name}", file=sys.stderr)
    new = built.with_suffix(f".{os.getpid()}")
    subprocess.run((*command, str(new), source), cwd=folder, check=True)
    new.rename(built)
    return built
