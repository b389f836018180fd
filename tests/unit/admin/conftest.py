"""A hub that follows a store, as in a running server."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from support.running_hub import RunningHub, running_hub


@pytest.fixture
async def running() -> AsyncGenerator[RunningHub, None]:
    async with running_hub() as made:
        yield made
