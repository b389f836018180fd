"""Many pods, created at once by one client of an API server."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from support.kube.cluster import ADMIN, Cluster
from support.kube.injecting import pod


@dataclass(frozen=True, slots=True)
class Created:
    """Status and object of each, the seconds that each took, and all together."""

    answers: list[tuple[int, Any]]
    each: list[float]
    seconds: float


async def create_at_once(cluster: Cluster, namespace: str, count: int) -> Created:
    """Each pod by a connection of its own."""
    trusted = ssl.create_default_context(cafile=str(cluster.authority))
    headers = {"Authorization": f"Bearer token-of-{ADMIN}"}
    connector = aiohttp.TCPConnector(limit=count, ssl=trusted)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def create(number: int) -> tuple[int, Any, float]:
            url = f"{cluster.url}/api/v1/namespaces/{namespace}/pods"
            begin = time.perf_counter()
            async with session.post(url, json=pod(f"web-{number}", namespace)) as answer:
                return answer.status, await answer.json(), time.perf_counter() - begin

        begin = time.perf_counter()
        created = await asyncio.gather(*map(create, range(count)))
        seconds = time.perf_counter() - begin
    answers = [(status, one) for status, one, _ in created]
    return Created(answers, [taken for *_, taken in created], seconds)
