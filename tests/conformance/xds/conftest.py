"""The server under test, Towpath on each transport unless the environment names another; a node."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from support.xds.adapter import RemoteAdapter
from support.xds.case import Case
from support.xds.target import Target
from support.xds.towpath_target import TowpathTarget, towpath_target

_NUMBERS = itertools.count(1)


@pytest.fixture
async def target(tmp_path: Path, transport: str) -> AsyncIterator[Target]:
    """XDS_SERVER and XDS_ADAPTER are addresses of another server to test."""
    server, adapter = os.environ.get("XDS_SERVER"), os.environ.get("XDS_ADAPTER")
    async with contextlib.AsyncExitStack() as held:
        if server and adapter:
            if transport != "grpc":
                pytest.skip("the transports are Towpath's, and another server is tested")
            channel = await held.enter_async_context(grpc.aio.insecure_channel(adapter))
            yield Target(server, RemoteAdapter(channel))
        else:
            yield await held.enter_async_context(towpath_target(tmp_path))


@pytest.fixture
async def towpath(target: Target) -> TowpathTarget:
    """The server of this repository, for tests that look inside; skipped where it is another."""
    if not isinstance(target, TowpathTarget):
        pytest.skip("looks inside Towpath, and another server is tested")
    return target


@pytest.fixture
async def xds(target: Target) -> AsyncIterator[Case]:
    case = Case(target, f"node-{next(_NUMBERS)}.conformance")
    yield case
    await target.adapter.clear_state(case.node)
