"""TLS files: shown to the server, checked, and read again for each connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from support.ads_server import DEADLINE_S, ScriptedServer, delta, scripted_server
from support.certificates import Certificates, spiffe_id
from towpath_client import CLUSTER, AdsClient, Backoff, TlsFiles, subscribe

NODE = "curl-1.demo"
ID = spiffe_id("demo", "curl")


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
async def secure(certificates: Certificates) -> AsyncGenerator[ScriptedServer, None]:
    """A scripted server that asks for a client's certificate."""
    files = certificates.server()
    credentials = grpc.ssl_server_credentials(
        [(files.key.read_bytes(), files.certificate.read_bytes())],
        root_certificates=files.ca.read_bytes(),
        require_client_auth=True,
    )
    async with scripted_server(credentials=credentials) as running:
        yield running


async def _nobody_came(server: ScriptedServer, delays: list[float]) -> bool:
    """True if the client failed to connect twice, and the server saw no stream."""
    async with asyncio.timeout(DEADLINE_S):
        coming = asyncio.ensure_future(server.next_stream())
        while len(delays) < 2:
            await asyncio.sleep(0.005)
        coming.cancel()
        return not coming.done()


async def test_subscribe_shows_its_certificate(
    secure: ScriptedServer, certificates: Certificates
) -> None:
    files = certificates.sidecar("demo", "curl")
    updates = subscribe(secure.address, NODE, CLUSTER, credentials=files)
    first = asyncio.ensure_future(anext(updates))
    stream = await secure.stream()
    await stream.request()
    stream.respond(delta(CLUSTER, {"c": "1"}, nonce="n1"))

    assert (await first).resources.keys() == {"c"}
    assert stream.peer_ids == (ID,)
    await updates.aclose()


async def test_a_server_of_another_authority_is_not_spoken_to(
    secure: ScriptedServer,
    certificates: Certificates,
    tmp_path: Path,
    backoff: Backoff,
    delays: list[float],
) -> None:
    files = certificates.sidecar("demo", "curl")
    foreign = replace(files, ca=Certificates(tmp_path, name="foreign").ca)
    async with AdsClient(secure.address, NODE, credentials=foreign, backoff=backoff) as client:
        client.subscribe(CLUSTER)

        assert await _nobody_came(secure, delays)


async def test_the_server_must_have_the_name_that_was_given(
    secure: ScriptedServer, certificates: Certificates, backoff: Backoff, delays: list[float]
) -> None:
    files = certificates.sidecar("demo", "curl")
    named = replace(files, server_name="localhost")
    async with AdsClient(secure.address, NODE, credentials=named) as client:
        client.subscribe(CLUSTER)
        await secure.stream()
    misnamed = replace(files, server_name="other.test")
    async with AdsClient(secure.address, NODE, credentials=misnamed, backoff=backoff) as client:
        client.subscribe(CLUSTER)

        assert await _nobody_came(secure, delays)


async def test_a_renewed_certificate_is_shown_on_the_next_connection(
    secure: ScriptedServer, certificates: Certificates, backoff: Backoff
) -> None:
    files = certificates.issue("client", uris=(ID,))
    async with AdsClient(secure.address, NODE, credentials=files, backoff=backoff) as client:
        client.subscribe(CLUSTER)
        first = await secure.stream()
        certificates.issue("client", uris=(spiffe_id("demo", "renewed"),))
        first.end(grpc.StatusCode.UNAVAILABLE)
        second = await secure.stream()

    assert [first.peer_ids, second.peer_ids] == [(ID,), (spiffe_id("demo", "renewed"),)]


async def test_files_that_vanish_later_are_waited_for(
    secure: ScriptedServer, certificates: Certificates, backoff: Backoff, delays: list[float]
) -> None:
    files = certificates.issue("client", uris=(ID,))
    async with AdsClient(secure.address, NODE, credentials=files, backoff=backoff) as client:
        client.subscribe(CLUSTER)
        first = await secure.stream()
        held = files.key.read_bytes()
        files.key.unlink()
        first.end(grpc.StatusCode.UNAVAILABLE)
        assert await _nobody_came(secure, delays)
        files.key.write_bytes(held)

        assert (await secure.stream()).peer_ids == (ID,)


async def test_a_missing_file_is_an_error_at_once(tmp_path: Path) -> None:
    files = TlsFiles(ca=tmp_path / "ca", certificate=tmp_path / "crt", key=tmp_path / "key")
    with pytest.raises(OSError, match="No such file"):
        async with AdsClient("127.0.0.1:1", NODE, credentials=files):
            pass
