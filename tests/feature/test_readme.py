"""README.md, typed in a copy of the repository: each command ends and prints as the page says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from support.dataplane import wait
from support.pages import Typed, commands
from support.ports import free_ports

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
SERVE = ".venv/bin/towpath serve --manifests deploy/demo/mesh"
GREETING = "Try:"
MACHINE = ("make ", "export PATH=", "git checkout ")
"""`make` runs what the gate runs, or serves, as here; the rest is of the reader's machine."""
CLUSTER = ("kubectl ", "towpath install", "towpath namespace ")
"""What needs a cluster: docs/install.md has it typed too, and tests/kube types that page."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    return tmp_path


@contextmanager
def serving(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """`make run`, at addresses of the test's own."""
    _, _, arguments = SERVE.partition(" ")
    command = [sys.executable, "-m", "towpath", *arguments.split()]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            assert any(GREETING in line for line in server.stdout), "it ended"
            yield
        finally:
            server.terminate()
            server.stdout.read()


def type_(
    one: Typed, folder: Path, environment: Mapping[str, str], port: int
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", one.command.replace(":15128", f":{port}")],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def is_promised(one: Typed, done: subprocess.CompletedProcess[str]) -> bool:
    return one.exit_code == done.returncode and one.prints(done.stdout)


def test_what_the_readme_has_typed_does_what_it_says(copy: Path) -> None:
    ads, http = free_ports(2)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TOWPATH_ADS_ADDRESS": f"127.0.0.1:{ads}",
        "TOWPATH_HTTP_ADDRESS": f"127.0.0.1:{http}",
    }
    elsewhere = (*MACHINE, *CLUSTER)
    typed = [one for one in commands(ROOT / "README.md") if not one.command.startswith(elsewhere)]
    switched = False
    with serving(copy, environment):
        for one in typed:
            # What a file says has effect a moment after it is written: a person types no sooner.
            wait.until(
                partial(type_, one, copy, environment, ads),
                partial(is_promised, one),
                what=f"{one.command!r} ends with {one.exit_code} and prints {one.output}",
                within_s=60,
            )
            switched = switched or one.command.startswith("sed -i")

    assert switched
    assert len([one for one in typed if one.output is not None]) >= 4
    assert SERVE in (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")


def test_what_the_readme_has_typed_in_a_cluster_is_what_the_page_on_installation_has() -> None:
    readme, page = (commands(ROOT / name) for name in ("README.md", "docs/install.md"))
    in_cluster = [one for one in readme if one.command.startswith(CLUSTER)]
    rest = iter(page)

    assert 9 == len(in_cluster)
    assert [] == [one.command for one in in_cluster if one not in rest], "not there in this order"
