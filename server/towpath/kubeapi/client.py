"""KubeApi: raw requests to one API server.

The official client finds the configuration, refreshes tokens and speaks TLS; its typed lists and
its informer are not used, as they cost many times the processor and the memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import aiohttp
import msgspec
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from towpath.kubeapi.jsonbytes import read_json

T = TypeVar("T")

CONNECT_S = 10.0
WRITE_S = 10.0
NOTHING: Mapping[str, str] = MappingProxyType({})
LONGEST_REFUSAL = 64 * 1024
"""Bytes that are read of an answer that refuses; it has a sentence or two."""
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of one event of a watch; etcd holds objects of a few MiB at most."""


class _Status(msgspec.Struct):
    message: str | None = None


_STATUS = msgspec.json.Decoder(_Status)


class KubeApiError(Exception):
    """The API server refused, or did not answer.

    `status` is the HTTP status, 0 if there was no answer or it broke off; `retry_after_s` is how
    long the server wants to be left alone.
    """

    def __init__(self, status: int, message: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def unanswered(self) -> bool:
        """True if there was no answer, or it broke off."""
        return self.status == 0

    @property
    def forbidden(self) -> bool:
        """True if RBAC or an admission denies it."""
        return self.status == HTTPStatus.FORBIDDEN

    @property
    def not_found(self) -> bool:
        """True if there is no such object, or no such kind."""
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def conflict(self) -> bool:
        """True if it exists already, or has changed since it was read."""
        return self.status == HTTPStatus.CONFLICT

    @property
    def gone(self) -> bool:
        """True if the version or page that was asked for is no longer kept."""
        return self.status == HTTPStatus.GONE


class NoRightError(KubeApiError):
    """RBAC does not grant it; the message says to whom, and which verb on which resource."""


class KubeApi:
    """Read, watch and write, as bytes.

    `url` is the API server's address; `authority` is the SHA-256 of the certificates that it is
    trusted by, "" for the machine's own.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self.url = str(client.configuration.host)
        self.authority = _authority(client.configuration.ssl_ca_cert)

    async def get(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        timeout_s: float = 60.0,
        accept: str = "application/json",
    ) -> bytes:
        """The body of a successful answer, of the media type *accept*; KubeApiError otherwise."""
        limits = aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_S)
        async with self._request("GET", path, query, limits, accept=accept) as answer:
            return bytes(await answer.read())

    async def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        *,
        query: Mapping[str, str] = NOTHING,
        timeout_s: float = WRITE_S,
    ) -> bytes:
        """POST, PUT or DELETE a document; the answer's body, KubeApiError if it is refused."""
        limits = aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_S)
        async with self._request(method, path, query, limits, body=body) as answer:
            return bytes(await answer.read())

    async def apply(
        self, path: str, body: Mapping[str, Any], *, manager: str, timeout_s: float = WRITE_S
    ) -> bytes:
        """Server-side apply as *manager*, which takes the fields over from whoever had them."""
        query = {"fieldManager": manager, "force": "true"}
        return await self._patch(path, body, "application/apply-patch+yaml", query, timeout_s)

    async def merge(self, path: str, body: Mapping[str, Any], *, manager: str) -> bytes:
        """Change the fields that *body* has (RFC 7396: null removes one), as *manager*."""
        query = {"fieldManager": manager}
        return await self._patch(path, body, "application/merge-patch+json", query, WRITE_S)

    async def json_patch(
        self, path: str, operations: Sequence[Mapping[str, Any]], *, manager: str
    ) -> bytes:
        """Change by these operations (RFC 6902), all or none, as *manager*."""
        query = {"fieldManager": manager}
        return await self._patch(path, operations, "application/json-patch+json", query, WRITE_S)

    async def _patch(
        self,
        path: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        form: str,
        query: Mapping[str, str],
        timeout_s: float,
    ) -> bytes:
        limits = aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_S)
        async with self._request("PATCH", path, query, limits, body=body, form=form) as answer:
            return bytes(await answer.read())

    @contextlib.asynccontextmanager
    async def watch(
        self, path: str, query: Mapping[str, str], *, idle_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of a watch; KubeApiError if it breaks off, or *idle_s* pass without a byte."""
        limits = aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=idle_s)
        async with self._request("GET", path, {**query, "watch": "true"}, limits) as answer:
            yield _lines(answer.content)

    @contextlib.asynccontextmanager
    async def websocket(
        self, path: str, query: Mapping[str, str], *, protocol: str
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket of that subprotocol; KubeApiError if it is refused."""
        rest, settings = self._client.rest_client, self._client.configuration
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()  # noqa: SLF001 - as its own requests do
        try:
            _, url, headers, _, _ = await self._client.param_serialize(
                "GET", path, query_params=list(query.items()), auth_settings=["BearerToken"]
            )
            opening = rest.pool_manager.ws_connect(
                url,
                headers=headers,
                protocols=(protocol,),
                proxy=rest.proxy,
                proxy_headers=rest.proxy_headers,
                server_hostname=settings.tls_server_name or None,
            )
            async with asyncio.timeout(CONNECT_S):
                socket = await opening
        except aiohttp.WSServerHandshakeError as error:
            text = f"{self.url}: HTTP status {error.status}"
            raise KubeApiError(error.status, text) from error
        except TimeoutError as error:
            text = f"{self.url}: no answer within {CONNECT_S:g} s"
            raise KubeApiError(0, text) from error
        except (aiohttp.ClientError, ConfigException, OSError) as error:
            raise KubeApiError(0, f"{self.url}: {str(error) or type(error).__name__}") from error
        async with socket:
            yield socket

    async def close(self) -> None:
        await self._client.close()

    @contextlib.asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        limits: aiohttp.ClientTimeout,
        *,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        form: str = "",
        accept: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        # Compression would cost both ends more time than it saves inside a cluster.
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        if form:
            headers["Content-Type"] = form
        try:
            _, url, headers, _, _ = await self._client.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params=headers,
                auth_settings=["BearerToken"],
            )
            exchange = await self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=limits
            )
            async with exchange.response as answer:
                if answer.status not in (200, 201):
                    raise await _refusal(answer)
                yield answer
        except (aiohttp.ClientError, ConfigException, OSError) as error:
            raise KubeApiError(0, f"{self.url}: {str(error) or type(error).__name__}") from error


def _authority(file: str | None) -> str:
    if not file:
        return ""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError as error:
        raise KubeApiError(0, f"the certificates {file} cannot be read: {error}") from error


async def needing(request: Awaitable[T], grant: str) -> T:
    """The answer; where RBAC refuses it, the error names the rule to *grant*."""
    try:
        return await request
    except NoRightError as error:
        text = f"{error} (grant by RBAC: {grant})"
        raise NoRightError(error.status, text) from error


def decoded(answer: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """What an answer holds; KubeApiError if it is no such thing, as from a proxy in between."""
    try:
        return read_json(answer, decoder)
    except msgspec.DecodeError as error:
        raise KubeApiError(0, f"the answer cannot be read: {error}") from error


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
    message = _message(await _beginning(answer.content), answer.status)
    # An admission that denies an object answers 403 as well, in words of its own.
    by_rbac = answer.status == HTTPStatus.FORBIDDEN and "is forbidden: User " in message
    return (NoRightError if by_rbac else KubeApiError)(
        answer.status, message, retry_after_s=float(wait) if wait.isdecimal() else 0.0
    )


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """An answer's first LONGEST_REFUSAL bytes."""
    body = bytearray()
    while len(body) < LONGEST_REFUSAL and (chunk := await content.readany()):
        body += chunk
    return bytes(body[:LONGEST_REFUSAL])


def _message(body: bytes, status: int) -> str:
    """What a Status object says, else the HTTP status."""
    with contextlib.suppress(msgspec.MsgspecError):
        if message := read_json(body, _STATUS).message:
            return message
    return f"HTTP status {status}"
