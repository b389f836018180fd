"""The webhook over HTTP: what an API server is answered, and what others cost."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, test_utils

from support.json_patch import applied
from support.objects import mesh_of
from support.samples import sample
from towpath.inject import webhook as webhook_module
from towpath.inject.pod import Installation
from towpath.inject.webhook import LARGEST, MOST_LARGE, PATH, Webhook
from towpath.model.mesh import Mesh
from towpath.model.workloads import Namespace
from towpath.telemetry.metrics import Metrics

INJECTION = "openservicemesh.io/sidecar-injection"
ENABLED = Namespace("shop", "osm", annotations=((INJECTION, "enabled"),))
TOTAL = "towpath_injections_total"
INSTALLATION = Installation("1.2.3", "envoy", "init", {"static_resources": {}}, {})


class Door:
    def __init__(self, session: ClientSession, url: str, metrics: Metrics) -> None:
        self.session, self.url, self.metrics = session, url, metrics

    async def post(self, data: bytes | io.BytesIO) -> tuple[int, Any]:
        async with self.session.post(self.url, data=data) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.status == 200 else text

    async def review(self, pod: Any, **request: Any) -> dict[str, Any]:
        status, answer = await self.post(json.dumps(review(pod, **request)).encode())
        assert 200 == status, answer
        assert ("admission.k8s.io/v1", "AdmissionReview") == (answer["apiVersion"], answer["kind"])
        response: dict[str, Any] = answer["response"]
        assert "an-id" == response["uid"]
        return response


def review(pod: Any, **request: Any) -> dict[str, Any]:
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    fields = {"uid": "an-id", "kind": kind, "namespace": "shop", "operation": "CREATE"}
    head = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    return {**head, "request": {**fields, "object": pod, **request}}


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "web-"},
        "spec": {"containers": [{"name": "web", "image": "web"}], **spec},
    }


@asynccontextmanager
async def serving(*objects: Any, **parts: Any) -> AsyncIterator[Door]:
    metrics = Metrics()
    seen: Mesh = mesh_of(*(objects or (ENABLED,)))
    served = Webhook(
        parts.get("mesh", lambda: seen),
        parts.get("installation", lambda: INSTALLATION),
        metrics=metrics,
    )
    async with test_utils.TestServer(served.application()) as server, ClientSession() as session:
        yield Door(session, str(server.make_url(PATH)), metrics)


async def test_a_pod_gets_its_sidecar_by_a_patch() -> None:
    async with serving() as door:
        response = await door.review(pod())
        again = await door.review(pod())

    assert response["allowed"]
    assert "JSONPatch" == response["patchType"]
    assert response == again
    assert "warnings" not in response
    after = applied(json.loads(base64.b64decode(response["patch"])), pod())
    assert ["osm-init", "envoy"] == [one["name"] for one in after["spec"]["initContainers"]]
    assert 2.0 == sample(door.metrics, TOTAL, result="injected")


async def test_a_dry_run_is_answered_alike() -> None:
    async with serving() as door:
        response = await door.review(pod())
        dry = await door.review(pod(), dryRun=True)

    assert response == dry


async def test_an_injected_pod_gets_no_patch() -> None:
    async with serving() as door:
        response = await door.review(pod())
        after = applied(json.loads(base64.b64decode(response["patch"])), pod())
        again = await door.review(after)

    assert again["allowed"]
    assert "patch" not in again


async def test_a_bad_annotation_refuses_the_pod_by_name() -> None:
    one = pod()
    one["metadata"]["annotations"] = {"openservicemesh.io/outbound-port-exclusion-list": "$(id)"}
    async with serving() as door:
        response = await door.review(one)

    assert not response["allowed"]
    assert "patch" not in response
    message = response["status"]["message"]
    assert 'annotation openservicemesh.io/outbound-port-exclusion-list has "$(id)"' in message


async def test_what_cannot_have_a_sidecar_is_left_alone_with_a_warning() -> None:
    async with serving() as door:
        response = await door.review(pod(hostNetwork=True))
        disabled = pod()
        disabled["metadata"]["annotations"] = {INJECTION: "no"}
        quiet = await door.review(disabled)

    assert (True, None) == (response["allowed"], response.get("patch"))
    (warning,) = response["warnings"]
    assert "no sidecar: it is in the network of its node" in warning
    assert {"uid": "an-id", "allowed": True} == quiet


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "UPDATE"},
        {"operation": "DELETE", "object": None},
        {"kind": {"group": "apps", "version": "v1", "kind": "Deployment"}},
    ],
)
async def test_what_creates_no_pod_passes(request_: dict[str, Any]) -> None:
    async with serving() as door:
        response = await door.review(pod(), **request_)

    assert {"uid": "an-id", "allowed": True} == response


async def test_a_namespace_that_is_too_new_is_waited_for() -> None:
    meshes = [mesh_of(Namespace("shop", None))] * 3 + [mesh_of(ENABLED)]
    async with serving(mesh=lambda: meshes.pop(0) if len(meshes) > 1 else meshes[0]) as door:
        response = await door.review(pod())

    assert response["allowed"]
    assert "patch" in response


@pytest.mark.parametrize("there", [Namespace("shop", None), Namespace("shop", "x"), None])
async def test_a_namespace_that_never_comes_is_refused(
    there: Namespace | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_module, "NAMESPACE_WITHIN_S", 0.1)
    async with serving(there or Namespace("other", "osm")) as door:
        response = await door.review(pod())

    assert not response["allowed"]
    assert "namespace shop is not seen in mesh osm yet: try again" in response["status"]["message"]


async def test_until_it_is_ready_it_answers_nothing() -> None:
    async with serving(mesh=lambda: None) as door:
        assert 503 == (await door.post(json.dumps(review(pod())).encode()))[0]
    async with serving(installation=lambda: None) as door:
        assert 503 == (await door.post(json.dumps(review(pod())).encode()))[0]
        assert 1.0 == sample(door.metrics, TOTAL, result="unavailable")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"request": 1}',
        b'{"request": {"uid": 1}}',
        b'{"request": {"uid": "a"}}',
        json.dumps({**review(pod()), "apiVersion": "admission.k8s.io/v1beta1"}).encode(),
        b"[" * 100_000,
    ],
)
async def test_garbage_is_answered_with_400(data: bytes) -> None:
    async with serving() as door:
        status, text = await door.post(data)
        assert 400 == status
        assert text.startswith("towpath: it is ")
        assert (await door.review(pod()))["allowed"]


@pytest.mark.parametrize("one", [None, 1, [], {}, {"spec": 1}, {"spec": {"containers": [1]}}])
async def test_a_pod_that_is_none_is_refused(one: Any) -> None:
    async with serving() as door:
        response = await door.review(one)

    assert not response["allowed"]


@pytest.mark.parametrize("size", [LARGEST + 1, 10 * 1024 * 1024])
async def test_a_body_that_is_too_large_is_not_read(size: int) -> None:
    async with serving() as door:
        status, text = await door.post(io.BytesIO(b" " * size))

    assert (413, f"towpath: the request is larger than {LARGEST:,} bytes\n") == (status, text)


async def test_a_large_pod_is_injected_too() -> None:
    one = pod()
    one["metadata"]["annotations"] = {"other": "x" * 200_000}
    async with serving() as door:
        assert "patch" in await door.review(one)


async def test_a_slow_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_module, "BODY_WITHIN_S", 0.1)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with serving() as door, door.session.post(door.url, data=slow()) as answer:
        assert 408 == answer.status


async def test_large_requests_are_few_at_a_time_and_hold_no_small_ones_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook_module, "LARGE_WITHIN_S", 0.2)
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        begun.set()
        await asyncio.Event().wait()

    async with serving() as door:
        large = [
            asyncio.create_task(door.session.post(door.url, data=endless()).__aenter__())
            for _ in range(MOST_LARGE + 1)
        ]
        await begun.wait()
        assert (await door.review(pod()))["allowed"]
        statuses = sorted([answer.status for answer in await asyncio.gather(*large)])

    assert [*([408] * MOST_LARGE), 503] == statuses


async def test_a_pod_of_too_many_containers_is_refused() -> None:
    containers = [{"name": f"c{number}"} for number in range(501)]
    async with serving() as door:
        response = await door.review(pod(containers=containers))

    assert "the pod has 501 containers: allowed: at most 500" in response["status"]["message"]
