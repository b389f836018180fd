"""Requests to the injection webhook, which anybody can send: what answers take, for two sizes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from aiohttp import web

from bench.hostile.row import Row
from support.objects import mesh_of
from towpath.inject.installation import installation
from towpath.inject.webhook import LARGEST, Webhook
from towpath.model.workloads import Namespace
from towpath.settings import InjectionSettings
from towpath.telemetry.metrics import Metrics

SIZE = LARGEST // 11
"""Bytes of the smaller request, about."""
Pod = Mapping[str, Any]
_LIMIT = "3 MB, within 2 s; from 100 KB on in a thread"


def measure() -> list[Row]:
    attacks: list[tuple[str, Callable[[int], Pod]]] = [
        ("a pod of very many containers with probes", _containers),
        ("an injected pod, with a container of very many variables", _injected),
        ("a pod with very many annotations", _annotations),
    ]
    return [
        *(Row(name, _cost(pod), _LIMIT) for name, pod in attacks),
        Row("a request nested very deeply", f"{_seconds(b'[' * LARGEST):.2f} s for 3 MB", _LIMIT),
    ]


def _cost(pod: Callable[[int], Pod]) -> str:
    small, large = (_seconds(_review(pod(size))) for size in (SIZE, 10 * SIZE))
    return f"{large:.2f} s for 3 MB, {large / small:.0f} times that for a tenth"


def _seconds(data: bytes) -> float:
    annotations = (("openservicemesh.io/sidecar-injection", "enabled"),)
    mesh = mesh_of(Namespace("shop", "osm", annotations=annotations))
    begin = installation("osm-system", b"roots", InjectionSettings())
    webhook = Webhook(lambda: mesh, lambda: begin, metrics=Metrics())
    start = time.process_time()
    asyncio.run(_ask(webhook, data))
    return time.process_time() - start


async def _ask(webhook: Webhook, data: bytes) -> web.Response:
    class Request:
        content_length = len(data)

        async def read(self) -> bytes:
            return data

    return await webhook.answer(cast("web.Request", Request()))


def _review(pod: Pod) -> bytes:
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    request = {"uid": "1", "namespace": "shop", "operation": "CREATE", "kind": kind, "object": pod}
    head = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    data = json.dumps({**head, "request": request}).encode()
    assert len(data) < LARGEST
    return data


def _containers(size: int) -> Pod:
    probe = {"httpGet": {"path": "/", "port": 80}}
    count = size // 90
    return {
        "spec": {"containers": [{"name": f"c{n}", "livenessProbe": probe} for n in range(count)]}
    }


def _injected(size: int) -> Pod:
    mount = {"name": "towpath", "mountPath": "/run/towpath"}
    variables = [{"name": f"v{number}", "value": "x"} for number in range(size // 40)]
    probe = {"httpGet": {"path": "/", "port": 80}}
    app = {"name": "app", "env": variables, "livenessProbe": probe}
    spec = {"initContainers": [{"name": "envoy", "volumeMounts": [mount]}], "containers": [app]}
    return {"metadata": {"annotations": {}}, "spec": spec}


def _annotations(size: int) -> Pod:
    annotations = {f"a{number}": "x" for number in range(size // 20)}
    return {"metadata": {"annotations": annotations}, "spec": {"containers": []}}
