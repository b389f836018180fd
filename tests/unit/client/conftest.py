"""The scripted server, and a back-off that does not wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from support.ads_server import ScriptedServer, scripted_server
from towpath_client import Backoff


@pytest.fixture
async def server() -> AsyncGenerator[ScriptedServer, None]:
    async with scripted_server() as running:
        yield running


@pytest.fixture
def delays() -> list[float]:
    """The seconds that `backoff` was told to sleep."""
    return []


@pytest.fixture
def backoff(delays: list[float]) -> Backoff:
    """Notes its delays, never shortens them, and does not wait."""

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        await asyncio.sleep(0)

    return Backoff(initial_s=1, maximum_s=8, factor=2, chance=lambda: 0.0, sleep=sleep)
