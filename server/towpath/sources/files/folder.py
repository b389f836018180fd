"""Folder: the manifests below one folder, file by file, each read again only when it changed.

Files change while they are read: an editor empties a file before it fills it, or moves it away
before it writes the new one. So good news is believed at once, bad news (a file that does not
parse, has lost objects, or is gone) only when it still holds a moment later.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from towpath.model.codes import Code
from towpath.model.mesh import Object
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.model.text import printable
from towpath.model.workloads import Pod
from towpath.sources.decode import UNNAMED
from towpath.sources.files.document import Unreadable, place
from towpath.sources.files.manifest import LARGEST_FILE, Entry, read_manifest
from towpath.sources.files.walk import Signature, is_at_or_below, signature_of, walk
from towpath.telemetry.once import FaultsOnce

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Contents:
    """All objects of the folder by kind, what is wrong with them, the kinds not used, where each
    object was read, and the pods that workloads would have a cluster make, with their places.
    """

    objects: Mapping[Kind, tuple[Object, ...]]
    problems: tuple[Problem, ...]
    ignored: Mapping[str, str]
    sources: Mapping[ObjectRef, str]
    pods: Mapping[Pod, str]


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one file said; with an *error*, what it said before it became unreadable."""

    signature: Signature
    digest: bytes
    entries: tuple[Entry, ...] = ()
    error: Unreadable | None = None


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
        self._failed: dict[str, str] = {}
        self._faults = FaultsOnce(log)
        self.folders: frozenset[str] = frozenset({""})
        """Those that were looked into, relative to *root*: where a change may come."""

    @property
    def in_doubt(self) -> bool:
        """True while there is bad news that a later `refresh` will believe or dismiss."""
        return any(f.doubted_at is not None for f in self._files.values())

    def identity(self) -> tuple[int, int] | None:
        """Which folder it is at the moment, as (device, inode); None if there is none."""
        try:
            status = self._root.stat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None

    def refresh(self, reported: Collection[str] = (), *, now: float, hasty: bool = False) -> bool:
        """Read what changed, and the *reported* files; true if that changes the contents.

        *now* is in seconds on any clock. With *hasty*, bad news is believed at once. Nothing is
        forgotten when the folder itself is gone.
        """
        seen, failed = self._known(reported), self._failed
        gone: set[str] = set()
        if seen is None:
            seen, failed, self.folders = walk(self._root)
            gone = {n for n in self._files.keys() - seen.keys() if not is_at_or_below(n, failed)}
        if self.identity() is None:
            return False
        changed, self._failed = failed != self._failed, failed
        for name, signature in seen.items():
            file = self._files.get(name)
            same = file and file.doubted_at is None and file.reading.signature == signature
            if not same or name in reported:
                changed |= self._read(name, signature, now=now, hasty=hasty)
        for name in gone:
            if self._believe(self._files[name], None, now=now, hasty=hasty):
                del self._files[name]
                changed = True
        return changed

    def contents(self) -> Contents:
        """Everything the folder says, in the order of (path, document)."""
        objects: dict[Kind, list[Object]] = {kind: [] for kind in Kind}
        problems = [
            _unreadable(n, Unreadable(0, why), kept=True) for n, why in self._failed.items()
        ]
        ignored: dict[str, str] = {}
        owners: dict[ObjectRef, str] = {}
        pods: dict[Pod, str] = {}
        for name in sorted(self._files):
            reading = self._files[name].reading
            if reading.error is not None:
                problems.append(_unreadable(name, reading.error, kept=bool(reading.entries)))
            for entry in reading.entries:
                decoded, ref = entry.decoded, entry.decoded.ref
                if decoded.ignored:
                    ignored.setdefault(ref.kind, entry.source)
                    if decoded.pod is not None:
                        pods[decoded.pod] = entry.source
                elif ref in owners and ref.name != UNNAMED:
                    text = f"is defined at {owners[ref]} already; this one is not used"
                    problems.append(Problem(ref, "", Code.DUPLICATE_OBJECT, text, entry.source))
                else:
                    owners[ref] = entry.source
                    problems += decoded.problems
                    if decoded.value is not None:
                        objects[decoded.value.kind].append(decoded.value)
        if not owners:
            problems.append(self.problem(Code.EMPTY_FOLDER, "holds no Kubernetes object to use"))
        by_kind = {kind: tuple(values) for kind, values in objects.items()}
        return Contents(by_kind, tuple(problems), ignored, owners, pods)

    def problem(self, code: Code, message: str) -> Problem:
        """A Problem with the folder itself."""
        return Problem(ObjectRef("Folder", "", printable(str(self._root))), "", code, message)

    def _known(self, reported: Collection[str]) -> dict[str, Signature] | None:
        """The reported files' signatures, if to look at those is enough; else None."""
        signatures = {}
        for name in reported:
            try:
                status = (self._root / name).lstat()
            except OSError:
                return None
            if name not in self._files or not stat.S_ISREG(status.st_mode):
                return None
            signatures[name] = signature_of(status)
        return None if self.in_doubt else signatures or None

    def _read(self, name: str, signature: Signature, *, now: float, hasty: bool) -> bool:
        """Read one file; true if what counts of it changed."""
        record = self._files.get(name)
        try:
            with open(self._root / name, "rb", opener=_open_now) as file:
                data = file.read(LARGEST_FILE + 1)
        except FileNotFoundError:
            return False
        except OSError as error:
            reason = Unreadable(0, error.strerror or str(error))
            reading = _Reading(signature, b"", error=reason)
        else:
            reading = self._parse(name, signature, data)
        record = record or _File(_Reading((0, 0, 0), b""))
        bad = reading.error is not None or not _refs(record.reading) <= _refs(reading)
        if bad and not self._believe(record, reading, now=now, hasty=hasty):
            self._files[name] = record
            return False
        if reading.error is not None:
            reading = replace(reading, entries=record.reading.entries)
        self._files[name] = _File(reading)
        before = record.reading
        return (reading.digest, str(reading.error)) != (before.digest, str(before.error))

    def _parse(self, name: str, signature: Signature, data: bytes) -> _Reading:
        digest = blake2b(data, digest_size=16).digest()
        record = self._files.get(name)
        for old in (record.doubted, record.reading) if record else ():
            if old is not None and old.digest == digest:
                return _Reading(signature, digest, old.entries, old.error)
        try:
            return _Reading(signature, digest, read_manifest(name, data))
        except Unreadable as error:
            # A fresh one: the one that was raised keeps its traceback, and so the file's bytes.
            return _Reading(signature, digest, error=Unreadable(error.line, error.reason))
        except MemoryError:  # which says nothing of the file
            raise
        except Exception as error:  # noqa: BLE001 - none may keep other files from being read
            self._faults.tell(error, f"{printable(name)} is not read, by a fault of Towpath's own")
            reason = f"a fault of Towpath's own ({type(error).__name__}, see the log)"
            return _Reading(signature, digest, error=Unreadable(0, reason))

    def _believe(self, file: _File, news: _Reading | None, *, now: float, hasty: bool) -> bool:
        """True if the same bad *news* (None: the file is gone) has held for long enough."""
        new = news.signature if news else None
        old = file.doubted.signature if file.doubted else None
        if file.doubted_at is None or new != old:
            file.doubted, file.doubted_at = news, now
        return hasty or now - file.doubted_at >= self._settle_s


def _open_now(path: str, flags: int) -> int:
    """Open a file that was one a moment ago: what has become a pipe is not waited for."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a file")
    return descriptor


def _refs(reading: _Reading) -> set[ObjectRef]:
    return {entry.decoded.ref for entry in reading.entries if not entry.decoded.ignored}


def _unreadable(name: str, error: Unreadable, *, kept: bool) -> Problem:
    source = place(name, error.line) if error.line else printable(name)
    effect = "what it said before is kept" if kept else "nothing in it is used"
    ref = ObjectRef("File", "", printable(name) or ".")
    return Problem(ref, "", Code.UNREADABLE_FILE, f"{error.reason}; {effect}", source)
