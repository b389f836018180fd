"""Build the callers of tests/clients with each language's own tools, once, into a cache.

`python tests/support/clients/build.py` builds all of them and prints where they are.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "clients"
CACHE = Path(os.environ.get("TOWPATH_TEST_CACHE") or Path.home() / ".cache" / "towpath-tests")
SIGN = "built"
"""A file that is written last: a folder with it is whole."""


@dataclass(frozen=True)
class Language:
    """A folder of tests/clients: *build* is run in a copy of it, *run* starts what it made.

    `{here}` in a word of *run* stands for that copy.
    """

    name: str
    folder: str
    build: tuple[tuple[str, ...], ...]
    run: tuple[str, ...]
    scheme: str = ""
    """What `server_uri` begins with for this client, if it wants to be told of plaintext there."""
    refusal: tuple[str, str] = ("UNAVAILABLE", "")
    """The status code of a call that no route lets through, and how its details begin."""

    def command(self) -> list[str]:
        """The argument list of the caller, built if the cache does not have it yet."""
        target = self._target()
        if not self.built():
            with _lock(self.folder):
                self._build(target)
        return [word.format(here=target) for word in self.run]

    def built(self) -> bool:
        """True if `command` need not build anything."""
        return (self._target() / SIGN).exists()

    def _build(self, target: Path) -> None:
        if (target / SIGN).exists():
            return
        print(f"building the client in {self.name}", file=sys.stderr)
        shutil.rmtree(target, ignore_errors=True)
        ignored = shutil.ignore_patterns("node_modules", "target")
        shutil.copytree(SOURCES / self.folder, target, ignore=ignored)
        for command in self.build:
            done = subprocess.run(command, cwd=target, check=False, capture_output=True, text=True)
            if done.returncode:
                printed = (done.stdout + done.stderr)[-3000:]
                sys.exit(f"{self.name}: {' '.join(command)} failed:\n{printed}")
        (target / SIGN).touch()

    def _target(self) -> Path:
        digest = hashlib.sha256()
        for path in sorted((SOURCES / self.folder).rglob("*")):
            if path.is_file() and not {"node_modules", "target"} & set(path.parts):
                digest.update(path.read_bytes())
        return CACHE / "clients" / f"{self.folder}-{digest.hexdigest()[:12]}"


LANGUAGES = (
    Language("Go", "go", (("go", "build", "-o", "caller", "."),), ("{here}/caller",)),
    Language(
        "Java",
        "java",
        (("mvn", "-q", "-B", "package", "dependency:copy-dependencies", "-DincludeScope=runtime"),),
        ("java", "-cp", "{here}/target/classes:{here}/target/dependency/*", "Caller"),
    ),
    Language(
        "Node.js",
        "node",
        (("npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"),),
        ("node", "{here}/caller.js"),
    ),
    Language(
        "Rust",
        "rust",
        (("cargo", "build", "--release"),),
        ("{here}/target/release/caller",),
        scheme="http://",
        # Of a call for which there is no route A28 wants UNAVAILABLE; tonic-xds has this error of
        # its own, and tonic makes UNKNOWN of whatever is no status.
        refusal=("UNKNOWN", "no matching route in virtual host for path '/hello.Hello/SayHello'"),
    ),
)


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """One build of a language at a time, whoever else tests on this machine."""
    folder = CACHE / "clients"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for each in LANGUAGES:
        print(" ".join(each.command()))
