"""`towpath config`: what a running sidecar is offered, holds and has rejected, in its own words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.rpc.status_pb2 import Status

from support.control_plane import ControlPlane, control_plane
from support.envoy_admin import EnvoyAdmin, dump, envoy_admin
from support.ports import free_ports
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


async def test_what_the_sidecar_has_accepted_stands_beside_what_it_rejects(
    plane: ControlPlane,
) -> None:
    async with plane.stream() as stream:
        await _accept(stream, LISTENER)
        await _accept(stream, CLUSTER)
        await _settled(plane)
        plane.switch_egress(on=True)
        while (response := await stream.hear()).type_url != LISTENER:
            await stream.say(
                response.type_url,
                response_nonce=response.nonce,
                version_info=response.version_info,
            )
        error = Status(code=13, message=WORDS)
        await stream.say(LISTENER, response_nonce=response.nonce, error_detail=error)
        async with asyncio.timeout(30):
            while not any(one.rejects for one in plane.hub.records):
                await asyncio.sleep(0.005)
        difference = await _config(plane, "--diff", "--type", "lds")
        document = json.loads((await _config(plane, "--diff", "-o", "json")).stdout)

    lines = difference.stdout.splitlines()
    assert 1 == difference.exit_code
    assert lines[0].endswith("]: rejected: outbound-listener: chain is \\x1b[2J ugly")
    assert any(line.startswith("  +") and "passthrough-outbound" in line for line in lines), lines
    assert not any(line.startswith("  -") and "passthrough-outbound" in line for line in lines)
    entry = document["lds"]["outbound-listener"]
    assert "passthrough-outbound" in json.dumps(entry["offered"])
    assert "passthrough-outbound" not in json.dumps(entry["held"])
    assert "outbound-listener" == entry["held"]["name"]


@pytest.fixture
def admin() -> Iterator[EnvoyAdmin]:
    with envoy_admin() as server:
        yield server


async def test_what_envoy_has_is_compared_field_by_field(
    plane: ControlPlane, admin: EnvoyAdmin
) -> None:
    question = ("--type", "lds", "--envoy", "--envoy-address", admin.address)
    async with plane.stream() as stream:
        await _accept(stream, LISTENER)
        await _accept(stream, CLUSTER)
        await _settled(plane)
        document = json.loads((await _config(plane, "--type", "lds", "-o", "json")).stdout)
        listeners = {name: each["offered"] for name, each in document["lds"].items()}
        admin.text = dump({"lds": listeners})
        same = await _config(plane, *question)
        outbound, (_, inbound) = listeners.pop("outbound-listener"), listeners.popitem()
        outbound["listenerFiltersTimeout"] = "7s"
        inbound["name"] = "rogue\x1b[2J"
        admin.text = dump({"lds": {"outbound": outbound, "rogue": inbound}})
        other = await _config(plane, *question)
        admin.text = "<html>"
        alien = await _config(plane, *question)

    assert (0, "") == (same.exit_code, same.output)
    lines = other.stdout.splitlines()
    headings = [line.partition("]: ")[2] for line in lines if not line.startswith("  ")]
    assert 1 == other.exit_code
    assert {"Envoy has none", "Envoy has another", "not offered, and Envoy has it"} == {*headings}
    assert [line for line in lines if line.startswith("  -") and "7s" in line], other.stdout
    assert "\x1b" not in other.stdout
    assert "rogue\\x1b[2J" in other.stdout
    assert 2 == alien.exit_code
    assert "is none, or one that Towpath does not know: no usable config_dump" in alien.stderr


async def test_an_envoy_that_cannot_be_reached_is_said_how_to_reach(plane: ControlPlane) -> None:
    (port,) = free_ports(1)
    async with plane.stream() as stream:
        await _accept(stream, LISTENER)
        await _accept(stream, CLUSTER)
        await _settled(plane)
        by_server = await _config(plane, "--envoy")
        closed = await _config(plane, "--envoy", "--envoy-address", f"127.0.0.1:{port}")
    alone = await _config(plane, "--envoy-address", "127.0.0.1:1")

    assert [2, 2, 2] == [done.exit_code for done in (by_server, closed, alone)]
    assert "give --envoy-address as well" in by_server.stderr
    assert "kubectl port-forward -n curl curl 15000) and give --envoy-address" in closed.stderr
    assert "Connection refused" in closed.stderr
    assert "only with --envoy" in alone.stderr


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
