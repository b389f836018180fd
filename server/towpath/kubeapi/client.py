"""KubeApi: raw requests to one API server.

The official client finds the configuration, refreshes tokens and speaks TLS; its typed lists and
its informer are not used, as they cost many times the processor and the memory.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

CONNECT_S = 10.0
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of one event of a watch; etcd holds objects of a few MiB at most."""


class KubeApiError(Exception):
    """The API server refused, or did not answer.

    `status` is the HTTP status, 0 if there was no answer or it broke off; `retry_after_s` is how
    long the server wants to be left alone.
    """

    def __init__(self, status: int, message: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class KubeApi:
    """GET and watch, as bytes. `url` is the API server's address."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self.url = str(client.configuration.host)

    async def get(self, path: str, query: Mapping[str, str], *, timeout_s: float = 60.0) -> bytes:
        """The body of a successful answer; KubeApiError otherwise."""
        limits = aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_S)
        async with self._request(path, query, limits) as answer:
            return bytes(await answer.read())

    @contextlib.asynccontextmanager
    async def watch(
        self, path: str, query: Mapping[str, str], *, idle_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of a watch; KubeApiError if it breaks off, or *idle_s* pass without a byte."""
        limits = aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=idle_s)
        async with self._request(path, {**query, "watch": "true"}, limits) as answer:
            yield _lines(answer.content)

    async def close(self) -> None:
        await self._client.close()

    @contextlib.asynccontextmanager
    async def _request(
        self, path: str, query: Mapping[str, str], limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        # Compression would cost both ends more time than it saves inside a cluster.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            method, url, headers, _, _ = await self._client.param_serialize(
                "GET",
                path,
                query_params=list(query.items()),
                header_params=headers,
                auth_settings=["BearerToken"],
            )
            held = await self._client.rest_client.request(
                method, url, headers=headers, _request_timeout=limits
            )
            async with held.response as answer:
                if answer.status != 200:
                    raise await _refusal(answer)
                yield answer
        except (aiohttp.ClientError, ConfigException, OSError) as error:
            raise KubeApiError(0, f"{self.url}: {str(error) or type(error).__name__}") from error


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Whole lines; all that has come is split at once, as a burst comes many lines at a time."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line
        if len(rest) > LONGEST_LINE:
            raise KubeApiError(0, f"an event is longer than {LONGEST_LINE:,} bytes")
    if rest:
        raise KubeApiError(0, "the watch ended in the middle of an event")


async def _refusal(answer: aiohttp.ClientResponse) -> KubeApiError:
    wait = answer.headers.get("Retry-After", "")
    return KubeApiError(
        answer.status,
        _message(await answer.read(), answer.status),
        retry_after_s=float(wait) if wait.isdecimal() else 0.0,
    )


def _message(body: bytes, status: int) -> str:
    """What a Status object says, else the HTTP status."""
    with contextlib.suppress(ValueError):
        said: Any = json.loads(body)
        if isinstance(said, dict) and said.get("message"):
            return str(said["message"])
    return f"HTTP status {status}"
