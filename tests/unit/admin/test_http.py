"""Health, metrics and version over HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from support.objects import mesh_config, namespace, pod, service
from support.running_hub import RunningHub
from towpath.admin.http import HttpEndpoints

Stale = list[float]
Client = TestClient[web.Request, web.Application]


@pytest.fixture
def stale() -> Stale:
    """For how long the source has not been readable, as its one item."""
    return [0.0]


@pytest.fixture
async def client(running: RunningHub, stale: Stale) -> AsyncGenerator[Client, None]:
    pages = HttpEndpoints(
        running.hub, metrics=running.metrics, version="1.2.3", stale_seconds=lambda: stale[0]
    )
    async with TestClient(TestServer(pages.application())) as made:
        yield made


async def _get(client: Client, path: str) -> tuple[int, str]:
    async with client.get(path) as response:
        return response.status, await response.text()


async def test_ready_once_every_kind_is_listed_and_alive_before(
    running: RunningHub,
    client: Client,
) -> None:
    assert await _get(client, "/health/alive") == (200, "alive\n")
    assert await _get(client, "/health/ready") == (
        503,
        "not every kind of object is listed yet\n",
    )

    await running.holds()

    assert await _get(client, "/health/ready") == (200, "ready\n")


async def test_a_source_that_is_stale_later_does_not_take_readiness_back(
    running: RunningHub,
    client: Client,
    stale: Stale,
) -> None:
    await running.holds()
    stale[0] = 12.5

    assert (await _get(client, "/health/ready"))[0] == 200
    assert "towpath_source_stale_seconds 12.5" in (await _get(client, "/metrics"))[1]


async def test_the_version_is_json(client: Client) -> None:
    assert await _get(client, "/version") == (200, '{"version": "1.2.3"}')


async def test_metrics_count_objects_by_kind_and_problems_by_reason(
    running: RunningHub,
    client: Client,
) -> None:
    await running.holds(namespace(), pod("a"), pod("b"), service("manual", selector={}))

    _, page = await _get(client, "/metrics")

    for line in (
        'towpath_build_info{version="1.2.3"} 1.0',
        'towpath_objects{kind="Pod"} 2.0',
        'towpath_objects{kind="EndpointSlice"} 0.0',
        'towpath_problems{reason="Missing"} 2.0',
        "towpath_source_stale_seconds 0.0",
    ):
        assert line in page.splitlines()


async def test_a_problem_that_is_solved_is_no_longer_counted(
    running: RunningHub,
    client: Client,
) -> None:
    await running.holds(namespace())
    assert 'reason="Missing"' in (await _get(client, "/metrics"))[1]

    running.store.apply(mesh_config())
    await running.published()

    assert 'reason="Missing"' not in (await _get(client, "/metrics"))[1]


async def test_publishing_is_measured(
    running: RunningHub,
    client: Client,
) -> None:
    await running.holds(namespace())

    _, page = await _get(client, "/metrics")

    assert "towpath_compute_seconds_count 0.0" not in page
    assert "towpath_compute_seconds_count" in page
