"""Walk: which manifests are below a folder, and whether they changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".yaml", ".yml", ".json")

Signature = tuple[int, int, int]
"""(mtime in ns, size, inode): a file whose signature is the same is not read again."""


MOST_FOLDERS, MOST_ENTRIES = 10_000, 100_000
"""That are looked at: a link may lead to a whole disk."""


class Walk(NamedTuple):
    """What is below a folder, by path relative to it: every manifest with its signature, each path
    that cannot be read with why, and the folders that were looked into ("" is the folder itself).
    """

    files: dict[str, Signature]
    failed: dict[str, str]
    folders: frozenset[str]


def walk(root: Path) -> Walk:
    """Look at everything below *root*.

    Hidden files and folders are passed over. Links are followed, as the files of a mounted
    ConfigMap are links that change place; but not to a folder that *root* itself is in.
    """
    files: dict[str, Signature] = {}
    failed: dict[str, str] = {}
    above = _above(root)
    visited = {one for one in (_identity(root),) if one is not None}
    folders: set[str] = set()
    waiting, entries = [""], 0
    while waiting:
        folder = waiting.pop()
        folders.add(folder)
        for name in _visible(root, folder, failed):
            if len(visited) > MOST_FOLDERS or entries >= MOST_ENTRIES:
                most = f"{MOST_FOLDERS:,} folders or {MOST_ENTRIES:,} files"
                failed[""] = f"holds more than {most} by its links: the rest is not read"
                return Walk(files, failed, frozenset(folders))
            entries += 1
            try:
                status = (root / name).stat()
            except FileNotFoundError:
                continue
            except OSError as error:
                failed[name] = error.strerror or str(error)
                continue
            identity = status.st_dev, status.st_ino
            if stat.S_ISREG(status.st_mode) and name.endswith(SUFFIXES):
                files[name] = signature_of(status)
            elif stat.S_ISDIR(status.st_mode) and identity in above:
                failed[name] = "leads to a folder that this one is in, and is not followed"
            elif stat.S_ISDIR(status.st_mode) and identity not in visited:
                visited.add(identity)
                waiting.append(name)
            elif name.endswith(SUFFIXES) and not stat.S_ISDIR(status.st_mode):
                failed[name] = "is not a file"
    return Walk(files, failed, frozenset(folders))


def _above(root: Path) -> set[tuple[int, int] | None]:
    """The folders that *root* is in."""
    return {_identity(folder) for folder in root.resolve().parents}


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _visible(root: Path, folder: str, failed: dict[str, str]) -> list[str]:
    """Paths, relative to *root*, of what is in *folder*; *failed* gets why it cannot be listed."""
    try:
        names = [path.name for path in (root / folder).iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        failed[folder] = error.strerror or str(error)
        return []
    shown = sorted(name for name in names if not name.startswith("."))
    return [f"{folder}/{name}" for name in shown] if folder else shown


def is_at_or_below(name: str, folders: Collection[str]) -> bool:
    return any(not f or name == f or name.startswith(f"{f}/") for f in folders)


def signature_of(status: os.stat_result) -> Signature:
    return (status.st_mtime_ns, status.st_size, status.st_ino)
