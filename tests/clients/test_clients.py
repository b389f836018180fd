"""The xDS clients of grpc-go, grpc-java, grpc-js and tonic call a real service through Towpath."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from support.clients import LANGUAGES, Language
from support.proxyless import Outcome, XdsClient, hello_server, hello_service, xds_client
from support.xds.process import ServerProcess

NAME = "hello.bookstore"
WITHIN_S = 90.0
"""A client waits for some seconds before it connects again, each its own way."""

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


def delete_service(folder: Path) -> None:
    (folder / "hello.yaml").unlink()


def switch_permissive_mode_off(folder: Path) -> None:
    config = folder / "meshconfig.yaml"
    config.write_text(config.read_text().replace("PolicyMode: true", "PolicyMode: false"))


REVOCATIONS: tuple[Callable[[Path], None], ...] = (delete_service, switch_permissive_mode_off)


@pytest.fixture(params=LANGUAGES, ids=[language.folder for language in LANGUAGES])
def language(request: pytest.FixtureRequest) -> Language:
    chosen: Language = request.param
    return chosen


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path, services=0)
    process.listen_on_tcp()
    process.start()
    yield process
    process.stop()


@contextlib.asynccontextmanager
async def calling(language: Language, server: ServerProcess) -> AsyncIterator[XdsClient]:
    """A client that heeds data errors, as docs/grpc.md has it."""
    address = f"{language.scheme}{server.address}"
    async with xds_client(
        address, data_errors=True, fail_on_data_errors=True, caller=language.command()
    ) as client:
        yield client


def answered(outcome: Outcome) -> bool:
    return (outcome.code, outcome.said) == ("OK", "hello")


def refused(outcome: Outcome) -> bool:
    return outcome.code == "UNAVAILABLE"


async def test_a_name_leads_to_its_service(language: Language, server: ServerProcess) -> None:
    async with hello_server("hello") as port, calling(language, server) as client:
        hello_service(server.folder, port=port)
        first = await client.until(NAME, answered, what="it is called", within=WITHIN_S)
        print(f"\n{language.name}: the first answer after {first.seconds:.3f} s")

        assert 0 == server.metric("towpath_xds_nacks_total")


async def test_calls_follow_the_endpoints(language: Language, server: ServerProcess) -> None:
    async with (
        hello_server("hello") as one,
        hello_server("two") as other,
        calling(language, server) as client,
    ):
        hello_service(server.folder, port=one)
        await client.until(NAME, answered, what="it is called", within=WITHIN_S)
        hello_service(server.folder, port=other)
        await client.until(NAME, lambda o: o.said == "two", what="calls move", within=WITHIN_S)


@pytest.mark.parametrize("revoke", REVOCATIONS)
async def test_what_is_taken_away_is_refused_and_what_returns_is_called_again(
    language: Language, server: ServerProcess, revoke: Callable[[Path], None]
) -> None:
    async with hello_server("hello") as port, calling(language, server) as client:
        hello_service(server.folder, port=port)
        before = (server.folder / "meshconfig.yaml").read_text()
        await client.until(NAME, answered, what="it is called", within=WITHIN_S)
        revoke(server.folder)
        await client.until(NAME, refused, what="it is refused", within=WITHIN_S)
        (server.folder / "meshconfig.yaml").write_text(before)
        hello_service(server.folder, port=port)
        await client.until(NAME, answered, what="it is called again", within=WITHIN_S)


@pytest.mark.parametrize("revoke", REVOCATIONS)
async def test_what_was_taken_away_during_an_outage_is_refused_after_it(
    language: Language, server: ServerProcess, revoke: Callable[[Path], None]
) -> None:
    async with hello_server("hello") as port, calling(language, server) as client:
        hello_service(server.folder, port=port)
        await client.until(NAME, answered, what="it is called", within=WITHIN_S)
        server.stop()
        during = await client.call(NAME)
        revoke(server.folder)
        server.start()
        await client.until(NAME, refused, what="it is refused", within=WITHIN_S)

        assert answered(during)
