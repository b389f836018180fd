"""The examples of the client library do what they say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.control_plane import control_plane

EXAMPLES = Path(__file__).parents[2] / "examples"
WITHIN_S = 30.0


@contextlib.asynccontextmanager
async def running(example: str, server: str) -> AsyncIterator[asyncio.StreamReader]:
    """What the example prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / example,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"SERVER": server, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.terminate()
        await process.wait()


async def line(printed: asyncio.StreamReader) -> str:
    async with asyncio.timeout(WITHIN_S):
        return (await printed.readline()).decode().rstrip()


async def test_watch_listeners_prints_every_change(tmp_path: Path) -> None:
    async with (
        control_plane(tmp_path) as plane,
        running("watch_listeners.py", plane.address) as printed,
    ):
        first = await line(printed)
        plane.switch_egress(on=True)
        second = await line(printed)

        assert "changed ['outbound-listener', 'prometheus-listener'], removed []" in first
        assert "changed ['outbound-listener'], removed []" in second


async def test_mirror_endpoints_prints_the_addresses_of_every_cluster(tmp_path: Path) -> None:
    async with (
        control_plane(tmp_path) as plane,
        running("mirror_endpoints.py", plane.address) as printed,
    ):
        assert "bookstore/bookstore|80: 10.10.0.3:8080" == await line(printed)


async def test_reject_is_told_of_by_the_server(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, running("reject.py", plane.address) as printed:
        first = await line(printed)
        taken = await line(printed)

        assert first.startswith("rejecting ['outbound-listener', 'prometheus-listener']")
        assert taken.startswith("taking version ")
        assert 1 <= sum(
            types.rejections for stream in plane.hub.records for types in stream.types.values()
        )


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_the_readme_names_every_example(example: Path) -> None:
    assert f"`{example.name}`" in (EXAMPLES / "README.md").read_text()
