"""The configuration on disk: what Pipy is to read, the last one it accepted, and one it died of."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from towpath_api.v1.pipy import to_json, version_of
from towpath_api.v1.sidecar_pb2 import SidecarConfig


class ConfigFile:
    """`config.json`, and beside it `config.json.good` and `config.json.refused`.

    A file is replaced whole or not at all, is on disk before its name is, and is its owner's only:
    it may hold a private key. What Pipy has not accepted yet is never the last good one, so a
    crash at any point loses nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._good = path.with_name(f"{path.name}.good")
        self._refused = path.with_name(f"{path.name}.refused")
        self._temporary = path.with_name(f".{path.name}.new")

    def forget(self) -> None:
        """Pipy is to let nothing through: the file says so, and there is nothing to go back to."""
        with contextlib.suppress(OSError):
            self._good.unlink(missing_ok=True)
        try:
            self._replace(self._path, to_json(SidecarConfig()))
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def recover(self) -> str | None:
        """Put the last good configuration back after a restart; gives its version, if there is one.

        A file of whose outcome nothing is known is one that the server will send again.
        """
        self._temporary.unlink(missing_ok=True)
        if not self.restore():
            return None
        return version_of(self._path.read_bytes())

    def write(self, text: str) -> None:
        """Make *text* the configuration; the last good one stays beside it."""
        self._replace(self._path, text)

    def keep(self) -> None:
        """The present configuration is good: it is what is gone back to."""
        self._link(self._path, self._good)
        self._refused.unlink(missing_ok=True)

    def restore(self) -> bool:
        """Go back to the last good configuration; False if there never was one."""
        if not self._good.exists():
            return False
        self._link(self._good, self._path)
        return True

    def remember_refused(self, version: str, reason: str) -> None:
        """Note what ended Pipy, so that it is not tried again after a restart."""
        self._replace(self._refused, json.dumps({"version": version, "reason": reason}))

    def why_refused(self, version: str) -> str | None:
        """Why that version is not tried again; None if it may be."""
        try:
            noted = json.loads(self._refused.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(noted, dict) or noted.get("version") != version:
            return None
        return str(noted.get("reason"))

    def _replace(self, path: Path, text: str) -> None:
        self._temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(self._temporary, flags, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 (a descriptor)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._temporary.replace(path)
        self._sync_folder()

    def _link(self, source: Path, target: Path) -> None:
        """Give the file a second name, in the place of what had it."""
        if target.exists() and target.samefile(source):
            return  # replacing a name by another of the same file would do nothing
        self._temporary.unlink(missing_ok=True)
        self._temporary.hardlink_to(source)
        self._temporary.replace(target)
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
