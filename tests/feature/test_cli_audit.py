"""`towpath audit` of a running server: the same answer as of its folder."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result

from support.control_plane import control_plane
from towpath.cli import main
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

PASSED = {
    "log": "connection",
    "start_time": "2026-11-29T10:00:00Z",
    "filter_chain_name": "outbound-egress-filter-chain",
    "upstream_cluster": "passthrough-outbound",
}


def _log(*pods: str) -> str:
    """More flows than one request takes, of pods with these addresses."""
    return "".join(
        json.dumps(
            {
                **PASSED,
                "downstream_remote_address": f"{pod}:40112",
                "downstream_local_address": f"192.0.2.{number % 250}:{443 + number}",
                "requested_server_name": f"{'x' * 60}.{number}.example.org",
            }
        )
        + "\n"
        for pod in pods
        for number in range(1_000)
    )


def _audit(*arguments: object) -> Result:
    words = ["audit", *map(str, arguments), "-o", "json"]
    return CliRunner().invoke(main, words, catch_exceptions=False)


async def test_a_server_and_its_folder_judge_alike(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        async with asyncio.timeout(30):
            while not plane.hub.ready:
                await asyncio.sleep(0.01)
        (pod, *_) = [pod for pod in plane.hub.mesh.group("Pod", "all") if pod.name == "curl"]  # type: ignore[arg-type]
        log = tmp_path / "access.log"
        log.write_text(_log(*pod.addresses, "10.99.99.99"))  # type: ignore[attr-defined]
        asked = ("--access-log", log, "--server", plane.address)
        of_server = await asyncio.to_thread(_audit, *asked)
        of_folder = _audit("--access-log", log, "--manifests", plane.folder)
        filtered = await asyncio.to_thread(_audit, *asked, "--from", "curl/curl")

    answers = [json.loads(done.stdout) for done in (of_server, of_folder)]
    assert (1, 1) == (of_server.exit_code, of_folder.exit_code)
    assert [1_000, 1_000] == [answer["unknown"] for answer in answers]
    assert 2_000 == len(answers[0]["flows"])
    assert answers[0] == answers[1]
    assert {"curl/curl"} == {
        flow["serviceAccount"] for flow in json.loads(filtered.stdout)["flows"]
    }


async def test_a_flow_that_is_not_well_formed_is_an_invalid_argument(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, plane.channel() as channel:
        request = pb.JudgeFlowsRequest(flows=[pb.Flow(port=70_000)])
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await pb_grpc.InspectorStub(channel).JudgeFlows(request)

    assert grpc.StatusCode.INVALID_ARGUMENT is error.value.code()
    assert "flows.port is 70000" in str(error.value.details())
