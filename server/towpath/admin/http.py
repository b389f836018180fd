"""Health, metrics and version over HTTP, where Open Service Mesh has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from towpath.hub.hub import Hub
from towpath.model.codes import Code
from towpath.rollout.records import Outcome
from towpath.telemetry.metrics import Metrics


class HttpEndpoints:
    """`/health/ready`, `/health/alive`, `/metrics` and `/version`.

    *stale_seconds* says for how long the source has not been readable (0: it is).
    """

    def __init__(
        self, hub: Hub, *, metrics: Metrics, version: str, stale_seconds: Callable[[], float]
    ) -> None:
        self._hub = hub
        self._metrics = metrics
        self._version = version
        self._stale_seconds = stale_seconds
        # Text or OpenMetrics, compressed or not, all of it or single names: as the client asks.
        self._exposition = make_aiohttp_handler(metrics.registry)
        metrics.info.labels(version).set(1)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/health/ready", self._ready)
        app.router.add_get("/health/alive", self._alive)
        app.router.add_get("/metrics", self._metrics_page)
        app.router.add_get("/version", self._version_page)
        return app

    async def _ready(self, _: web.Request) -> web.Response:
        """Ready once everything is listed; a source that fails later does not take it back."""
        if self._hub.ready:
            return web.Response(text="ready\n")
        return web.Response(status=503, text="not every kind of object is listed yet\n")

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _version_page(self, _: web.Request) -> web.Response:
        return web.json_response({"version": self._version})

    async def _metrics_page(self, request: web.Request) -> web.StreamResponse:
        await self._collect()
        return await self._exposition(request)

    async def _collect(self) -> None:
        """Read what is only worth computing when somebody looks."""
        for kind, count in self._hub.object_counts().items():
            self._metrics.objects.labels(kind).set(count)
        problems = await self._hub.in_turn(self._hub.problems)
        of_codes = Counter(problem.code for problem in problems)
        for code in Code:
            labels = (code, code.reason, code.severity)
            self._metrics.problems.labels(*labels).set(of_codes[code])
        of_states = Counter(record.outcome for record in self._hub.records)
        for state in Outcome:
            self._metrics.stream_states.labels(state).set(of_states[state])
        self._metrics.source_stale_seconds.set(self._stale_seconds())
