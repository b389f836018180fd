"""Health, metrics and version over HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from support.objects import mesh_config, namespace, pod, service
from support.running_hub import RunningHub
from towpath.admin.http import HttpEndpoints
from towpath.model.codes import Code
from towpath.model.names import ClientKind, SidecarId
from towpath.rollout.records import State
from towpath.telemetry.metrics import STREAM_STATES

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


def _problems(code: Code, count: int) -> str:
    labels = f'code="{code}",reason="{code.reason}",severity="{code.severity}"'
    return f"towpath_problems{{{labels}}} {count}.0"


def _streams(state: str, count: int) -> str:
    return f'towpath_sidecar_streams{{state="{state}"}} {count}.0'


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
        _problems(Code.MISSING_MESH_CONFIG, 1),
        _problems(Code.SERVICE_WITHOUT_ENDPOINTS, 1),
        _problems(Code.MISSING_ROUTE, 0),
        "towpath_source_stale_seconds 0.0",
    ):
        assert line in page.splitlines()


async def test_a_problem_that_is_solved_is_no_longer_counted(
    running: RunningHub,
    client: Client,
) -> None:
    await running.holds(namespace())
    assert _problems(Code.MISSING_MESH_CONFIG, 1) in (await _get(client, "/metrics"))[1]

    running.store.apply(mesh_config())
    await running.published()

    assert _problems(Code.MISSING_MESH_CONFIG, 0) in (await _get(client, "/metrics"))[1]


@pytest.mark.parametrize(
    ("accept", "form", "end"),
    [
        ("*/*", "text/plain; version=0.0.4", ""),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", "# EOF"),
    ],
)
async def test_the_form_of_the_page_is_what_the_client_takes(
    running: RunningHub, client: Client, accept: str, form: str, end: str
) -> None:
    await running.holds(namespace())
    async with client.get("/metrics", headers={"Accept": accept}) as response:
        text = await response.text()

    assert response.headers["Content-Type"].startswith(form)
    assert text.rstrip().endswith(end)
    assert "towpath_build_info" in text


async def test_the_page_is_compressed_for_who_takes_it(running: RunningHub, client: Client) -> None:
    await running.holds(namespace())
    plain = {"Accept-Encoding": "identity"}
    async with client.get("/metrics", headers={"Accept-Encoding": "gzip"}) as small:
        text = await small.text()
    async with client.get("/metrics", headers=plain) as large:
        assert "Content-Encoding" not in large.headers

    assert "gzip" == small.headers["Content-Encoding"]
    assert "towpath_build_info" in text


async def test_single_metrics_may_be_asked_for(running: RunningHub, client: Client) -> None:
    await running.holds(namespace())
    _, page = await _get(client, "/metrics?name[]=towpath_source_stale_seconds")

    lines = [line for line in page.splitlines() if not line.startswith("#")]
    assert ["towpath_source_stale_seconds 0.0"] == lines


async def test_the_process_is_measured(running: RunningHub, client: Client) -> None:
    await running.holds(namespace())
    _, page = await _get(client, "/metrics")

    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        assert f"\n{name} " in page


async def test_streams_are_counted_by_where_they_stand(running: RunningHub, client: Client) -> None:
    await running.holds(namespace())
    assert _streams("accepted", 0) in (await _get(client, "/metrics"))[1]

    for state in ("waiting-for-pod", "unanswered", "rejecting", "accepted"):
        record = running.hub.records.open(
            peer="",
            node_id="a.shop",
            sidecar=SidecarId("shop", "a"),
            kind=ClientKind.ENVOY,
            variant="sotw",
        )
        if state != "waiting-for-pod":
            record.state = State.SERVING
        record.settled = state in ("accepted", "rejecting")
        if state == "rejecting":
            running.hub.records.rejected(record, "t", version="1", names=(), message="no")
    _, page = await _get(client, "/metrics")

    assert all(_streams(state, 1) in page for state in STREAM_STATES)


async def test_publishing_is_measured(
    running: RunningHub,
    client: Client,
) -> None:
    await running.holds(namespace())

    _, page = await _get(client, "/metrics")

    assert "towpath_compute_seconds_count 0.0" not in page
    assert "towpath_compute_seconds_count" in page
