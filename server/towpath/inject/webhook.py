"""Webhook: the HTTPS port at which an API server has pods injected.

Every pod of the cluster can reach it, and nothing tells an API server from others: so a request
costs no more than its size, gives nothing away that is not public, and changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from aiohttp import web

from towpath.inject.decide import Reason, decide
from towpath.inject.patch import json_patch
from towpath.inject.pod import Installation, inject
from towpath.inject.refusal import Refused
from towpath.inject.review import Malformed, Review, allowed, denied, read_review
from towpath.inject.shape import checked
from towpath.model.mesh import Mesh
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Kind
from towpath.model.workloads import Namespace
from towpath.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PATH = "/mutate-pod-creation"
LARGEST = 3 * 1024 * 1024
"""Bytes of a request: an API server takes no object that is larger."""
BODY_WITHIN_S = 2.0
NAMESPACE_WITHIN_S, LOOK_EVERY_S = 2.0, 0.05
"""For how long a namespace is looked for that an API server knows already."""
SMALL = 100_000
"""Bytes up to which a request is answered at once: larger ones are few at a time, in threads."""
MOST_LARGE, LARGE_WITHIN_S = 4, 2.0
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class _Answer:
    result: str
    body: bytes


class Webhook:
    """Answers from what *mesh* gives; None: nothing is known yet, and nothing can be answered.

    *installation* gives what sidecars begin with, None while there are no roots.
    """

    def __init__(
        self,
        mesh: Callable[[], Mesh | None],
        installation: Callable[[], Installation | None],
        *,
        metrics: Metrics,
    ) -> None:
        self._mesh = mesh
        self._installation = installation
        self._metrics = metrics
        self._large = asyncio.Semaphore(MOST_LARGE)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST)
        app.router.add_post(PATH, self.answer)
        return app

    async def answer(self, request: web.Request) -> web.Response:
        """The answer to one request, whatever it is."""
        length = request.content_length
        if length is not None and length <= SMALL:
            return await self._answer_request(request)
        try:
            async with asyncio.timeout(LARGE_WITHIN_S):
                await self._large.acquire()
        except TimeoutError:
            return self._refuse_request(503, "too many large requests at a time")
        try:
            return await self._answer_request(request)
        finally:
            self._large.release()

    async def _answer_request(self, request: web.Request) -> web.Response:
        begin = time.monotonic()
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                data = await request.read()
            review = await _aside(data, read_review, data)
        except TimeoutError:
            return self._refuse_request(408, f"the request took longer than {BODY_WITHIN_S:g} s")
        except web.HTTPRequestEntityTooLarge:
            return self._refuse_request(413, f"the request is larger than {LARGEST:,} bytes")
        except Malformed as error:
            return self._refuse_request(400, str(error))
        mesh, installation = self._mesh(), self._installation()
        if mesh is None or installation is None:
            self._metrics.injections.labels("unavailable").inc()
            what = "objects are" if mesh is None else "authority is"
            return web.Response(status=503, text=f"towpath: not all {what} known yet\n")
        namespace = await self._namespace(review.namespace)
        answer = await _aside(data, self._answer, review, mesh, namespace, installation)
        self._metrics.injections.labels(answer.result).inc()
        self._metrics.injection_seconds.observe(time.monotonic() - begin)
        return web.Response(body=answer.body, content_type=_JSON)

    async def _namespace(self, name: str) -> Namespace | None:
        """An API server asks for pods of monitored namespaces alone: one that is not may be so new
        that it is not seen here yet.
        """
        end = time.monotonic() + NAMESPACE_WITHIN_S
        while True:
            mesh = self._mesh()
            record = None if mesh is None else mesh.get(Kind.NAMESPACE, "", name)
            namespace = record if isinstance(record, Namespace) else None
            monitored = mesh is not None and namespace and namespace.mesh == mesh.mesh_name
            if monitored or time.monotonic() > end:
                return namespace
            await asyncio.sleep(LOOK_EVERY_S)

    def _answer(
        self,
        review: Review,
        mesh: Mesh,
        namespace: Namespace | None,
        installation: Installation,
    ) -> _Answer:
        if not review.creates_pod:
            return _Answer("skipped", allowed(review.uid))
        try:
            pod = checked(review.object)
            if namespace is None:
                raise Refused(_unseen(review.namespace, mesh))
            decision = decide(
                pod, namespace, mesh_name=mesh.mesh_name, osm_namespace=mesh.osm_namespace
            )
            if decision.reason is Reason.NOT_MONITORED:
                raise Refused(_unseen(review.namespace, mesh))
            if decision.reason is not None:
                reason = f"towpath: no sidecar: {decision.reason.value}"
                log.debug("pod %s gets %s", review.name, reason)
                return _Answer(
                    "skipped", allowed(review.uid, (), (reason,) if decision.surprising else ())
                )
            injected = inject(pod, namespace, mesh.config() or MeshConfig(), installation)
        except Refused as error:
            log.info("pod %s is refused: %s", review.name, error)
            return _Answer("refused", denied(review.uid, str(error)))
        patch = json_patch(pod, injected.pod)
        log.debug("pod %s gets a sidecar", review.name)
        remarks = [f"towpath: {remark}" for remark in injected.remarks]
        return _Answer("injected", allowed(review.uid, patch, remarks))

    def _refuse_request(self, status: int, text: str) -> web.Response:
        """What is no request of an API server."""
        self._metrics.injections.labels("malformed").inc()
        answer = web.Response(status=status, text=f"towpath: {text}\n")
        answer.force_close()
        return answer


async def _aside(data: bytes, function: Callable[[*Ts], T], *args: *Ts) -> T:
    """The value of a function whose work grows with *data*: it holds nobody else up."""
    if len(data) > SMALL:
        return await asyncio.to_thread(function, *args)
    return function(*args)


def _unseen(name: str, mesh: Mesh) -> str:
    return f"namespace {name} is not seen in mesh {mesh.mesh_name} yet: try again"
