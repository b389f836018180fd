"""Folder: the manifests below one folder, file by file, each read again only when it changed.

Files change while they are read: an editor empties a file before it fills it, or moves it away
before it writes the new one. So good news is believed at once, bad news (a file that does not
parse, has lost objects, or is gone) only when it still holds a moment later.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from towpath.model.mesh import Object
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem, Reason
from towpath.sources.decode import UNNAMED
from towpath.sources.files.document import Unreadable
from towpath.sources.files.manifest import LARGEST_FILE, SUFFIXES, Entry, read_manifest

Signature = tuple[int, int, int]
"""(mtime in ns, size, inode): a file whose signature is the same is not read again."""


@dataclass(frozen=True, slots=True)
class Contents:
    """All objects of the folder by kind, what is wrong with them, and the kinds not used."""

    objects: Mapping[Kind, tuple[Object, ...]]
    problems: tuple[Problem, ...]
    ignored: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one file said: objects, or the Problem that it does not parse."""

    signature: Signature
    digest: bytes
    entries: tuple[Entry, ...]
    error: Problem | None = None


@dataclass(slots=True)
class _File:
    """The reading that counts, and bad news not yet believed with the time it was first seen."""

    reading: _Reading
    doubted: _Reading | None = None
    doubted_at: float | None = None


class Folder:
    """The manifests below *root*; `refresh` does file I/O, so call it in a thread.

    *settle_s* is how long bad news must hold to be believed.
    """

    def __init__(self, root: Path, *, settle_s: float) -> None:
        self._root = root
        self._settle_s = settle_s
        self._files: dict[str, _File] = {}

    @property
    def in_doubt(self) -> bool:
        """True while there is bad news that a later `refresh` will believe or dismiss."""
        return any(f.doubted_at is not None for f in self._files.values())

    def identity(self) -> tuple[int, int] | None:
        """Which folder it is at the moment, as (device, inode); None if there is none."""
        try:
            found = self._root.stat()
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None

    def refresh(self, reported: Collection[str] = (), *, now: float, hasty: bool = False) -> bool:
        """Read what changed, and the *reported* files; true if that changes the contents.

        *now* is in seconds on any clock. With *hasty*, bad news is believed at once. Nothing is
        forgotten when the folder itself is gone.
        """
        seen = self._known(reported)
        if seen is None:
            seen = dict(_walk(self._root))
            gone = self._files.keys() - seen.keys()
        else:
            gone = set()
        if self.identity() is None:
            return False
        changed = False
        for name, signature in seen.items():
            file = self._files.get(name)
            settled = file is not None and file.doubted_at is None
            if (
                file is None
                or not settled
                or file.reading.signature != signature
                or name in reported
            ):
                changed |= self._read(name, signature, now=now, hasty=hasty)
        for name in gone:
            if self._believe(self._files[name], None, now=now, hasty=hasty):
                del self._files[name]
                changed = True
        return changed

    def contents(self) -> Contents:
        """Everything the folder says, in the order of (path, document)."""
        objects: dict[Kind, list[Object]] = {kind: [] for kind in Kind}
        problems: list[Problem] = []
        ignored: dict[str, str] = {}
        owners: dict[ObjectRef, str] = {}
        for name in sorted(self._files):
            reading = self._files[name].reading
            if reading.error is not None:
                problems.append(reading.error)
            for entry in reading.entries:
                decoded, ref = entry.decoded, entry.decoded.ref
                if decoded.ignored:
                    ignored.setdefault(ref.kind, entry.source)
                elif ref in owners and ref.name != UNNAMED:
                    text = f"is defined at {owners[ref]} already; this one is not used"
                    problems.append(Problem(ref, "", Reason.DUPLICATE, text, entry.source))
                else:
                    owners[ref] = entry.source
                    problems += decoded.problems
                    if decoded.value is not None:
                        objects[decoded.value.kind].append(decoded.value)
        if not owners:
            problems.append(self.problem(Reason.MISSING, "holds no Kubernetes object to use"))
        by_kind = {kind: tuple(held) for kind, held in objects.items()}
        return Contents(by_kind, tuple(problems), ignored)

    def problem(self, reason: Reason, message: str) -> Problem:
        """A Problem with the folder itself."""
        return Problem(ObjectRef("Folder", "", str(self._root)), "", reason, message)

    def _known(self, reported: Collection[str]) -> dict[str, Signature] | None:
        """The reported files' signatures, if to look at those is enough; else None."""
        found = {}
        for name in reported:
            try:
                status = (self._root / name).lstat()
            except OSError:
                return None
            if name not in self._files or not stat.S_ISREG(status.st_mode):
                return None
            found[name] = _signature(status)
        return None if self.in_doubt else found or None

    def _read(self, name: str, signature: Signature, *, now: float, hasty: bool) -> bool:
        """Read one file; true if what counts of it changed."""
        known = self._files.get(name)
        try:
            with (self._root / name).open("rb") as file:
                data = file.read(LARGEST_FILE + 1)
        except FileNotFoundError:
            return False
        except OSError as error:
            reading = _unreadable(name, signature, b"", Unreadable(0, error.strerror or ""))
        else:
            reading = self._parse(name, signature, data)
        known = known or _File(_Reading((0, 0, 0), b"", ()))
        bad = reading.error is not None or not _refs(known.reading) <= _refs(reading)
        if bad and not self._believe(known, reading, now=now, hasty=hasty):
            self._files[name] = known
            return False
        if reading.error is not None:
            reading = replace(reading, entries=known.reading.entries)
        self._files[name] = _File(reading)
        before = known.reading
        return (reading.digest, reading.error) != (before.digest, before.error)

    def _parse(self, name: str, signature: Signature, data: bytes) -> _Reading:
        digest = blake2b(data, digest_size=16).digest()
        known = self._files.get(name)
        for old in (known.doubted, known.reading) if known else ():
            if old is not None and old.digest == digest:
                return _Reading(signature, digest, old.entries, old.error)
        try:
            return _Reading(signature, digest, read_manifest(name, data))
        except Unreadable as error:
            return _unreadable(name, signature, digest, error)

    def _believe(self, file: _File, news: _Reading | None, *, now: float, hasty: bool) -> bool:
        """True if the same bad *news* (None: the file is gone) has held for long enough."""
        new = news.signature if news else None
        old = file.doubted.signature if file.doubted else None
        if file.doubted_at is None or new != old:
            file.doubted, file.doubted_at = news, now
        return hasty or now - file.doubted_at >= self._settle_s


def _walk(root: Path) -> Iterator[tuple[str, Signature]]:
    """Every manifest below *root* with its signature; hidden files and folders are passed over."""
    visited: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            found = list(os.scandir(root / folder))
        except OSError:
            continue
        for item in found:
            if item.name.startswith("."):
                continue
            name = f"{folder}/{item.name}" if folder else item.name
            try:
                # Follows links: the files of a mounted ConfigMap are links that change place.
                status = item.stat()
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) not in visited:
                    visited.add((status.st_dev, status.st_ino))
                    waiting.append(name)
            elif stat.S_ISREG(status.st_mode) and item.name.endswith(SUFFIXES):
                yield name, _signature(status)


def _signature(status: os.stat_result) -> Signature:
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _refs(reading: _Reading) -> set[ObjectRef]:
    return {entry.decoded.ref for entry in reading.entries if not entry.decoded.ignored}


def _unreadable(name: str, signature: Signature, digest: bytes, error: Unreadable) -> _Reading:
    source = f"{name}:{error.line}" if error.line else name
    text = f"{error.reason}; what it said before is kept"
    problem = Problem(ObjectRef("File", "", name), "", Reason.UNREADABLE, text, source)
    return _Reading(signature, digest, (), problem)
