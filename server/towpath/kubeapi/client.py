"""KubeApi: raw requests to one API server.

The official client finds the configuration, refreshes tokens and speaks TLS; its typed lists and
its informer are not used, as they cost many times the processor and the memory.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

CONNECT_S = 10.0


class KubeApiError(Exception):
    """The API server answered with an error; `status` is the HTTP status, 0 if there is none."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class KubeApi:
    """GET and watch, as bytes. `url` is the API server's address."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self.url = str(client.configuration.host)

    async def get(self, path: str, query: Mapping[str, str], *, timeout_s: float = 60.0) -> bytes:
        """The body of a successful answer; KubeApiError or OSError otherwise."""
        limits = aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_S)
        async with self._request(path, query, limits) as answer:
            return bytes(await answer.read())

    @contextlib.asynccontextmanager
    async def watch(
        self, path: str, query: Mapping[str, str], *, idle_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of a watch; TimeoutError after *idle_s* seconds without a byte."""
        limits = aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=idle_s)
        async with self._request(path, {**query, "watch": "true"}, limits) as answer:
            yield aiter(answer.content)

    async def close(self) -> None:
        await self._client.close()

    @contextlib.asynccontextmanager
    async def _request(
        self, path: str, query: Mapping[str, str], limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        method, url, headers, _, _ = await self._client.param_serialize(
            "GET",
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        try:
            held = await self._client.rest_client.request(
                method, url, headers=headers, _request_timeout=limits
            )
            async with held.response as answer:
                if answer.status != 200:
                    raise KubeApiError(answer.status, _message(await answer.read(), answer.status))
                yield answer
        except aiohttp.ClientError as error:
            raise KubeApiError(0, f"{self.url}: {str(error) or type(error).__name__}") from error


async def connect(kubeconfig: Path | None, context: str) -> KubeApi:
    """The API of a kubeconfig's context (""; the current one), or of the cluster we run in.

    Raises KubeApiError if there is no usable configuration.
    """
    settings = Configuration()
    try:
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=settings)
        else:
            await config.load_kube_config(
                config_file=str(kubeconfig),
                context=context or None,
                client_configuration=settings,
                persist_config=False,
            )
    except (config.ConfigException, OSError, TypeError, ValueError) as error:
        where = "the cluster we run in" if kubeconfig is None else str(kubeconfig)
        raise KubeApiError(0, f"no configuration of {where}: {error}") from error
    return KubeApi(ApiClient(settings))


def _message(body: bytes, status: int) -> str:
    """What a Status object says, else the HTTP status."""
    with contextlib.suppress(ValueError):
        said: Any = json.loads(body)
        if isinstance(said, dict) and said.get("message"):
            return str(said["message"])
    return f"HTTP status {status}"
