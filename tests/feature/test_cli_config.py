"""`towpath config`: what a running sidecar is offered, holds and has rejected, in its own words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.rpc.status_pb2 import Status

from support.control_plane import ControlPlane, control_plane
from support.xds.stream import RawStream
from towpath.cli import main
from towpath.model.types import CLUSTER, LISTENER

NODE = "curl.curl"
WORDS = "outbound-listener: chain is \x1b[2J ugly"


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    async with control_plane(tmp_path) as started:
        yield started


async def _config(plane: ControlPlane, *arguments: str) -> Result:
    command = ["config", NODE, "--server", plane.address, *arguments]
    return await asyncio.to_thread(CliRunner().invoke, main, command)


async def _accept(stream: RawStream, type_url: str) -> None:
    await stream.say(type_url)
    response = await stream.hear()
    await stream.say(type_url, response_nonce=response.nonce, version_info=response.version_info)


async def _settled(plane: ControlPlane) -> None:
    """Return when the server has read the answers of both types."""
    async with asyncio.timeout(30):
        while {LISTENER, CLUSTER} != {
            type_url
            for record in plane.hub.records
            for type_url, delivery in record.types.items()
            if delivery.acknowledged or delivery.rejected
        }:
            await asyncio.sleep(0.005)


async def test_what_is_acknowledged_is_summed_up_by_type(plane: ControlPlane) -> None:
    async with plane.stream() as stream:
        await _accept(stream, LISTENER)
        await _accept(stream, CLUSTER)
        await _settled(plane)
        whole = await _config(plane)
        one = await _config(plane, "--type", "cds", "-o", "json")
        difference = await _config(plane, "--type", "lds", "--diff")

    assert (0, "") == (whole.exit_code, whole.stderr)
    assert "lds: 2 of 2 acknowledged\n  listener outbound-listener, outbound, " in whole.stdout
    document = json.loads(one.stdout)
    assert ["cds"] == list(document)
    assert {"ACKNOWLEDGED"} == {each["status"] for each in document["cds"].values()}
    assert (0, "") == (difference.exit_code, difference.stdout)


async def test_a_difference_says_what_is_rejected_and_why(plane: ControlPlane) -> None:
    async with plane.stream() as stream:
        await stream.say(LISTENER)
        response = await stream.hear()
        error = Status(code=13, message=WORDS)
        await stream.say(LISTENER, response_nonce=response.nonce, error_detail=error)
        await stream.hear()
        await _accept(stream, CLUSTER)
        await _settled(plane)
        difference = await _config(plane, "--diff", "--type", "lds")
        document = await _config(plane, "--diff", "-o", "yaml")

    assert 1 == difference.exit_code
    assert "lds outbound-listener [" in difference.stdout
    assert "]: rejected: outbound-listener: chain is \\x1b[2J ugly\n" in difference.stdout
    assert "\x1b" not in difference.stdout
    assert 1 == document.exit_code
    assert "status: REJECTED" in document.stdout
    assert "cds:" not in document.stdout


async def test_who_is_not_connected_is_said_not_to_be(plane: ControlPlane) -> None:
    result = await _config(plane)
    wrong = await asyncio.to_thread(CliRunner().invoke, main, ["config", "curl"])

    assert 2 == result.exit_code
    assert f"{NODE} is connected to none of {plane.address}" in result.stderr
    assert (2, True) == (wrong.exit_code, "POD.NAMESPACE" in wrong.stderr)


async def test_names_are_completed_by_who_is_connected(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/none")
    words = f"towpath config --server {plane.address} cu"
    environment = {"_TOWPATH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "4"}
    async with plane.stream() as stream:
        await _accept(stream, LISTENER)
        runner = CliRunner(env=environment)
        done = await asyncio.to_thread(runner.invoke, main, [], prog_name="towpath")

    assert [f"plain,{NODE}"] == done.stdout.split()
