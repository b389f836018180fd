"""FilesSource: keeps a store equal to what a folder of manifests says.

The folder is watched; a look at every file's signature every two seconds finds what a watch can
miss (network mounts, links that lead elsewhere, a folder that was swapped for another).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Protocol

from asyncinotify import Event, Inotify, Mask

from towpath.model.codes import Code
from towpath.model.mesh import Object
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.sources import SourceError
from towpath.sources.files.folder import Contents, Folder

log = logging.getLogger(__name__)

ORIGIN = "files"
"""The name under which this source reports its Problems."""

# The watch hands over once so long nothing new has come: short for a quick change, long enough for
# the usual empty-then-write of an editor to be one change.
_QUIET_S = 0.003
_LONGEST_S = 0.03
_EVENTS_AT_ONCE = 100
_CHANGES = Mask.ATTRIB | Mask.CREATE | Mask.DELETE | Mask.CLOSE_WRITE | Mask.MODIFY | Mask.MOVE
_CHANGES |= Mask.DELETE_SELF | Mask.MOVE_SELF


class ObjectStore(Protocol):
    """What the source needs of a store."""

    def replace_all(self, kind: Kind, objects: Iterable[Object]) -> None: ...
    def report(self, origin: Hashable, problems: Iterable[Problem]) -> None: ...
    def locate(self, sources: Mapping[ObjectRef, str]) -> None: ...


class FilesSource:
    """Reads the manifests below *folder* into *store*; `load` once, then `run` to follow them.

    *settle_s*: how long a file must stay unreadable, or without an object that it had, before
    that is believed. *rescan_s*: how often all files are looked at without being told.
    *absent_s*: how often a folder that is gone is looked for. *clock*: seconds, monotonic.
    """

    def __init__(
        self,
        folder: Path,
        store: ObjectStore,
        *,
        clock: Callable[[], float] = time.monotonic,
        settle_s: float = 0.05,
        rescan_s: float = 2.0,
        absent_s: float = 0.2,
    ) -> None:
        self._root = folder.absolute()
        self._store = store
        self._clock = clock
        self._settle_s = settle_s
        self._rescan_s = rescan_s
        self._absent_s = absent_s
        self._folder = Folder(self._root, settle_s=settle_s)
        self._contents: Contents | None = None
        self._gone_since: float | None = None
        self._said_ignored: set[str] = set()

    def load(self) -> None:
        """Read everything now. Raises SourceError if there is no such folder."""
        self._require_folder()
        self._folder.refresh(now=self._clock(), hasty=True)
        self._publish(self._folder.contents())

    async def run(self) -> None:
        """Follow the folder until cancelled. Raises SourceError if it is not there at start."""
        if self._contents is None:
            self._require_folder()
        while True:
            identity = self._folder.identity()
            if identity is None:
                self._publish_gone()
                await asyncio.sleep(self._absent_s)
            else:
                await self._follow(identity)

    @property
    def contents(self) -> Contents:
        """What the folder held when it was last read, after `load`."""
        assert self._contents is not None
        return self._contents

    def problem(self, code: Code, message: str) -> Problem:
        """A Problem with the folder itself."""
        return self._folder.problem(code, message)

    def stale_seconds(self) -> float:
        """For how long the folder has been gone; 0 while it is there."""
        return 0.0 if self._gone_since is None else self._clock() - self._gone_since

    def _require_folder(self) -> None:
        if self._folder.identity() is None:
            what = "is not a folder" if self._root.exists() else "does not exist"
            raise SourceError(f"the folder of manifests {self._root} {what}")

    async def _follow(self, identity: tuple[int, int]) -> None:
        """Watch and read the folder for as long as it is the one that *identity* names."""
        reports = _Reports(self._root)
        watched: frozenset[str] | None = None
        watching: asyncio.Task[None] | None = None
        try:
            while self._folder.identity() == identity:
                if self._folder.folders != watched:
                    await _cancel(watching)
                    watched = self._folder.folders
                    watching = asyncio.create_task(reports.collect(watched))
                    # One turn of the loop: the watch is in place before the next look, which is at
                    # everything, so that no change falls between the two.
                    await asyncio.sleep(0)
                    reports.add("")
                await self._look(reports.take())
                if self._folder.folders == watched:
                    in_doubt = self._folder.in_doubt
                    await reports.arrive(timeout_s=self._settle_s if in_doubt else self._rescan_s)
        finally:
            await _cancel(watching)

    async def _look(self, reported: frozenset[str]) -> None:
        first = self._contents is None
        changed = await asyncio.to_thread(
            self._folder.refresh, reported, now=self._clock(), hasty=first
        )
        if self._folder.identity() is None:
            return
        if changed or first or self._gone_since is not None:
            self._publish(await asyncio.to_thread(self._folder.contents))

    def _publish(self, contents: Contents) -> None:
        if self._gone_since is not None:
            log.info("the folder of manifests %s is back", self._root)
            self._gone_since = None
        for kind, source in contents.ignored.items():
            if kind not in self._said_ignored:
                self._said_ignored.add(kind)
                log.info("objects of kind %s are not used (first seen at %s)", kind, source)
        before, self._contents = self._contents, contents
        for kind, objects in contents.objects.items():
            # Files that did not change keep their objects, so this compares identities, quickly.
            if before is None or objects != before.objects[kind]:
                self._store.replace_all(kind, objects)
        self._store.locate(contents.sources)
        self._store.report(ORIGIN, contents.problems)

    def _publish_gone(self) -> None:
        """Say, once, that what is served is what the folder held when it was last there."""
        if self._gone_since is not None or self._contents is None:
            return
        self._gone_since = self._clock()
        log.warning("the folder of manifests %s is gone: serving what it held", self._root)
        stale = self._folder.problem(Code.MISSING_FOLDER, "is gone; what it held is served, stale")
        self._store.report(ORIGIN, (*self._contents.problems, stale))


class _Reports:
    """Paths that the watch of a folder reported, relative to it, until they are taken."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: set[str] = set()
        self._some = asyncio.Event()

    def add(self, path: str) -> None:
        """Have a path looked at; "" is everything."""
        self._paths.add(path)

    async def collect(self, folders: Iterable[str]) -> None:
        """Watch these until cancelled. Where watching fails, the regular look has to do.

        Each for itself: a watch of all below would follow links to wherever they lead.
        """
        try:
            with Inotify(cache_size=_EVENTS_AT_ONCE, sync_timeout=0) as watch:
                for folder in folders:
                    with contextlib.suppress(FileNotFoundError):  # the next look finds that out
                        watch.add_watch(self._root / folder, _CHANGES)
                while True:
                    self._note(await watch.get())
                    await self._note_what_follows(watch)
                    self._some.set()
        except OSError as error:
            log.warning("cannot watch %s (%s): changes are found late", self._root, error)

    async def _note_what_follows(self, watch: Inotify) -> None:
        """Until nothing does for a moment."""
        loop = asyncio.get_running_loop()
        latest, more = loop.time() + _LONGEST_S, True
        while more and loop.time() < latest:
            # No timeout of a read: an event that came as the time was up would be lost.
            await asyncio.sleep(_QUIET_S)
            events = [*islice(watch, _EVENTS_AT_ONCE)]
            for event in events:
                self._note(event)
            more = bool(events)

    def _note(self, event: Event) -> None:
        if event.path is None or event.path == self._root:  # more than there was room for, or all
            self.add("")
        else:
            self.add(str(event.path.relative_to(self._root)))

    async def arrive(self, *, timeout_s: float) -> None:
        """Wait for a report, or until the time is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._some.wait()

    def take(self) -> frozenset[str]:
        taken = frozenset(self._paths)
        self._paths.clear()
        self._some.clear()
        return taken


async def _cancel(task: asyncio.Task[None] | None) -> None:
    """Cancel a task, and wait until it has ended."""
    if task is not None:
        task.cancel()
        await asyncio.wait({task})
