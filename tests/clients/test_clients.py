"""The xDS clients of grpc-go, grpc-java, grpc-js and tonic call a real service through Towpath."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.clients import LANGUAGES, Language
from support.proxyless import Outcome, XdsClient, hello_server, hello_service, xds_client
from support.xds.process import ServerProcess
from towpath.cli import main

NAME = "hello.bookstore"
WITHIN_S = 90.0
"""A client waits for some seconds before it connects again, each its own way."""

STAYS_AWAY = frozenset({"rust"})
"""tonic-xds 0.1.0-alpha.4 accepts the cluster and the endpoints that return, and its calls go on
waiting for them: seen in the server's log at debug. It is to connect anew.
"""

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
    """A client with the bootstrap of docs/grpc.md, which heeds data errors if it can."""
    printed = CliRunner().invoke(
        main,
        [
            *("bootstrap", "--client", "grpc", "--pod", "curl.curl"),
            *("--server", server.address, "--plaintext"),
        ],
    )
    bootstrap = json.loads(printed.stdout)
    bootstrap["xds_servers"][0]["server_uri"] = f"{language.scheme}{server.address}"
    async with xds_client(
        server.address, data_errors=True, caller=language.command(), bootstrap=bootstrap
    ) as client:
        yield client


def answered(outcome: Outcome) -> bool:
    return (outcome.code, outcome.said) == ("OK", "hello")


def refused_by(language: Language) -> Callable[[Outcome], bool]:
    code, details = language.refusal
    return lambda outcome: outcome.code == code and outcome.said.startswith(details)


async def test_a_name_leads_to_its_service(language: Language, server: ServerProcess) -> None:
    async with hello_server("hello") as port, calling(language, server) as client:
        hello_service(server.folder, port=port)
        first = await client.until(NAME, answered, what="it is called", within=WITHIN_S)
        print(f"\n{language.name}: the first answer after {first.seconds:.3f} s")

        assert 0 == server.metric("towpath_xds_nacks_total")


async def test_a_name_that_is_not_there_is_called_once_it_is(
    language: Language, server: ServerProcess
) -> None:
    async with hello_server("hello") as port, calling(language, server) as client:
        before = await client.call(NAME)
        hello_service(server.folder, port=port)
        await client.until(NAME, answered, what="it is called", within=WITHIN_S)
        print(f"\n{language.name}, before the Service is there: {before}")

        assert before.code in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}


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
        refused = refused_by(language)
        await client.until(NAME, refused, what="it is refused", within=WITHIN_S)
        (server.folder / "meshconfig.yaml").write_text(before)
        hello_service(server.folder, port=port)
        if language.folder not in STAYS_AWAY:
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
        refused = refused_by(language)
        await client.until(NAME, refused, what="it is refused", within=WITHIN_S)
        after = [await client.call(NAME) for _ in range(5)]

        assert answered(during)
        assert all(map(refused, after)), after
