"""A folder as it stands on disk, or as it stood in a revision of a git repository."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click


@contextlib.contextmanager
def folder_of(name: str) -> Iterator[Path]:
    """The folder that *name* stands for: a path, else `REVISION:FOLDER`, taken out into a folder of
    its own until the end. Raises click.UsageError.
    """
    revision, colon, path = name.partition(":")
    if Path(name).exists() or not colon:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="towpath-diff-") as out:
        commit = _git(
            "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}", of=name
        )
        archive = _git(
            "archive", "--format=tar", commit.decode().strip(), "--", path or ".", of=name
        )
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(out, filter="data")
        folder = Path(out, path)
        if not folder.is_dir():
            raise click.UsageError(f"{name}: {path} is not a folder in {revision}")
        yield folder


def _git(*arguments: str, of: str) -> bytes:
    git = shutil.which("git")
    if git is None:
        raise click.UsageError(f"{of}: git is not installed, so give a folder")
    done = subprocess.run([git, *arguments], capture_output=True, check=False)  # noqa: S603 (no shell)
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        raise click.UsageError(f"{of} is neither a folder nor REVISION:FOLDER of git: {text}")
    return done.stdout
