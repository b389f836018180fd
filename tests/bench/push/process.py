"""Programs of the benchmark: pinned to a core, spoken to by lines, and what they have used."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

SERVERS, SIDECARS = 0, 1
"""Places: servers on one core, the sidecars' side on another, where there are two."""


class Program:
    """One program; its standard input and output are lines."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        place: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        cores = sorted(os.sched_getaffinity(0))
        core = cores[place % len(cores)]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                ("taskset", "--cpu-list", str(core), *command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                bufsize=1,
                env={**os.environ, **(environment or {})},
            )
        self._log = log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def hear(self, beginning: str = "") -> str:
        """The next line that begins so; RuntimeError if the program ends before."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(beginning):
                return line.strip()
        errors = self._log.read_text()[-2000:]
        raise RuntimeError(f"it ended before it said {beginning!r}: {errors}")

    def cpu_us(self) -> float:
        """CPU of its threads so far, in microseconds."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1000

    def rss_kib(self) -> int:
        return self._status("VmRSS")

    def peak_kib(self) -> int:
        return self._status("VmHWM")

    def _status(self, key: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        size = re.search(rf"^{key}:\s+(\d+) kB", status, re.MULTILINE)
        assert size is not None
        return int(size[1])
