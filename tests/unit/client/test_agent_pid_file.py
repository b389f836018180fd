"""The agent signals the process that its pid file was written for, and no other."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from towpath_client.agent.elsewhere import ByPidFile
from towpath_client.agent.process import process_of

HOUR_S = 3600.0


@contextmanager
def running(program: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends of any signal."""
    with subprocess.Popen([program, "60"]) as process:
        try:
            yield process
        finally:
            process.kill()


def pid_file_of(folder: Path, pid: int, *, age_s: float = 0) -> Path:
    file = folder / "pid"
    file.write_text(f"{pid}\n")
    os.utime(file, (time.time() - age_s,) * 2)
    return file


def by(pid_file: Path) -> ByPidFile:
    return ByPidFile(pid_file, None, timeout=1, settle=0.001)


async def test_a_process_that_began_after_the_pid_file_was_written_is_sent_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running("sleep") as process:
        file = pid_file_of(tmp_path, process.pid, age_s=HOUR_S)
        pipy = by(file)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pipy.reload()
        reason, status = await pipy.stop()

        words = f"process {process.pid} is not Pipy: it is called 'sleep', and began 36"
        assert (False, None, True) == (pipy.running, status, reason.startswith(words))
        assert [f"{reason}; it is sent no signal"] == caplog.messages
        assert process.poll() is None


async def test_a_process_that_began_before_its_pid_file_was_written_is_pipy(tmp_path: Path) -> None:
    with running("sleep") as process:
        pipy = by(pid_file_of(tmp_path, process.pid))

        assert (True, ("", None)) == (pipy.running, await pipy.stop())
        assert -signal.SIGKILL == process.wait()


async def test_a_process_of_that_name_is_pipy_whenever_it_began(tmp_path: Path) -> None:
    program = shutil.copy(shutil.which("sleep") or "", tmp_path / "pipy")
    with running(str(program)) as process:
        pipy = by(pid_file_of(tmp_path, process.pid, age_s=HOUR_S))

        assert (True, ("", None)) == (pipy.running, await pipy.stop())
        assert -signal.SIGKILL == process.wait()


@pytest.mark.parametrize("content", ["0", "-1", "", "x", "99999999999999999999"])
def test_a_pid_file_that_names_no_process_names_no_group_either(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "pid"
    file.write_text(content)

    assert process_of(file) is None
