"""The commands that an installation puts on PATH."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from towpath.__main__ import OPT_IN

CALL = "import sys; from towpath.__main__ import osm; sys.argv[0] = 'osm'; osm()"
OURS = "#!/usr/bin/python3\nfrom towpath.__main__ import osm\nosm()\n"
THEIRS = b"\x7fELF towpath"
TYPED = ("install", "--dry-run", "--set", "osm.enableEgress=true")


def osm(folder: Path, *, opt_in: bool = False) -> subprocess.CompletedProcess[str]:
    """`osm install …` with that folder alone on PATH."""
    environment = {"PATH": str(folder), "HOME": str(folder)}
    if opt_in:
        environment[OPT_IN] = "1"
    command = [sys.executable, "-c", CALL, *TYPED]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def program(folder: Path, content: bytes, *, mode: int = 0o755) -> None:
    path = folder / "osm"
    path.write_bytes(content)
    path.chmod(mode)


def test_as_a_plug_in_of_kubectl_it_calls_itself_what_was_typed() -> None:
    call = "import sys; from towpath.__main__ import plugin; sys.argv = ['x', '--help']; plugin()"
    done = subprocess.run([sys.executable, "-c", call], check=True, capture_output=True, text=True)

    assert done.stdout.startswith("Usage: kubectl towpath [OPTIONS] COMMAND [ARGS]...")


@pytest.mark.parametrize("present", [None, OURS.encode()], ids=["none", "ours"])
def test_osm_is_towpath_where_there_is_no_other(tmp_path: Path, present: bytes | None) -> None:
    if present is not None:
        program(tmp_path, present)
    done = osm(tmp_path)

    assert done.returncode == 0, done.stderr
    assert '"enableEgress": true' in done.stdout


def test_beside_another_osm_it_says_whose_it_is_and_does_nothing(tmp_path: Path) -> None:
    program(tmp_path, THEIRS)
    done = osm(tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert f"{tmp_path}/osm is another's: nothing was done." in done.stderr
    assert "`towpath install --dry-run --set osm.enableEgress=true`" in done.stderr
    assert f"export {OPT_IN}=1" in done.stderr


def test_beside_another_osm_it_can_be_turned_on(tmp_path: Path) -> None:
    program(tmp_path, THEIRS)
    done = osm(tmp_path, opt_in=True)

    assert done.returncode == 0, done.stderr
    assert '"enableEgress": true' in done.stdout


def test_what_nobody_can_run_is_no_other_osm(tmp_path: Path) -> None:
    program(tmp_path, THEIRS, mode=0o644)

    assert os.access(tmp_path / "osm", os.F_OK)
    assert osm(tmp_path).returncode == 0


def test_without_the_extra_a_command_says_what_to_install(tmp_path: Path) -> None:
    stripped = "import sys; sys.modules['click'] = None; " + CALL
    done = subprocess.run(
        [sys.executable, "-c", stripped, *TYPED],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path)},
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "osm: click is not installed" in done.stderr
    assert "towpath[server]" in done.stderr
