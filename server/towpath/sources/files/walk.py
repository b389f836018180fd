"""Walk: which manifests are below a folder, and whether they changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

SUFFIXES = (".yaml", ".yml", ".json")

Signature = tuple[int, int, int]
"""(mtime in ns, size, inode): a file whose signature is the same is not read again."""


def walk(root: Path) -> tuple[dict[str, Signature], dict[str, str]]:
    """Every manifest below *root* with its signature, and each path that cannot be read with why.

    Hidden files and folders are passed over. Links are followed: the files of a mounted ConfigMap
    are links that change place.
    """
    files: dict[str, Signature] = {}
    failed: dict[str, str] = {}
    visited: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for name in _visible(root, folder, failed):
            try:
                status = (root / name).stat()
            except FileNotFoundError:
                continue
            except OSError as error:
                failed[name] = error.strerror or str(error)
                continue
            if stat.S_ISREG(status.st_mode) and name.endswith(SUFFIXES):
                files[name] = signature_of(status)
            elif stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) not in visited:
                visited.add((status.st_dev, status.st_ino))
                waiting.append(name)
    return files, failed


def _visible(root: Path, folder: str, failed: dict[str, str]) -> list[str]:
    """Paths, relative to *root*, of what is in *folder*; *failed* gets why it cannot be listed."""
    try:
        found = [path.name for path in (root / folder).iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        failed[folder] = error.strerror or str(error)
        return []
    shown = sorted(name for name in found if not name.startswith("."))
    return [f"{folder}/{name}" for name in shown] if folder else shown


def is_at_or_below(name: str, folders: Collection[str]) -> bool:
    return any(not f or name == f or name.startswith(f"{f}/") for f in folders)


def signature_of(status: os.stat_result) -> Signature:
    return (status.st_mtime_ns, status.st_size, status.st_ino)
