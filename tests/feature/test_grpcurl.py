"""What a person finds with grpcurl."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Certificates
from support.control_plane import control_plane
from support.grpcurl import GRPCURL
from support.xds.types import AGGREGATED, CLUSTER, LISTENER, OWN, SECRET, short
from towpath.model.names import ClientKind, SidecarId
from towpath_client import TlsFiles

CSDS = "envoy.service.status.v3.ClientStatusDiscoveryService"
ADS = "envoy.service.discovery.v3.AggregatedDiscoveryService"


async def _start(
    address: str,
    *arguments: str,
    data: str | None = None,
    seconds: int = 5,
    tls: TlsFiles | None = None,
) -> asyncio.subprocess.Process:
    flags = ["-max-time", str(seconds)]
    if tls is None:
        flags += ["-plaintext", *(["-unix"] if "/" in address else [])]
    else:
        flags += ["-cacert", str(tls.ca), "-cert", str(tls.certificate), "-key", str(tls.key)]
    said = ["-d", data] if data is not None else []
    return await asyncio.create_subprocess_exec(
        GRPCURL,
        *flags,
        *said,
        address.removeprefix("unix:"),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _grpcurl(
    address: str, *arguments: str, data: str | None = None, tls: TlsFiles | None = None
) -> str:
    process = await _start(address, *arguments, data=data, tls=tls)
    out, error = await process.communicate()
    assert 0 == process.returncode, error.decode()
    return out.decode()


async def _message(process: asyncio.subprocess.Process) -> Any:
    """The next message that a call prints, which ends with a bracket at the start of a line."""
    assert process.stdout is not None
    text = await asyncio.wait_for(process.stdout.readuntil(b"\n}\n"), 30)
    return json.loads(text)


async def test_list_shows_the_services(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        listed = (await _grpcurl(plane.address, "list")).split()

        assert {ADS, "towpath.v1.Inspector", "grpc.health.v1.Health"} <= set(listed)


async def test_a_hand_typed_request_streams_resources(tmp_path: Path) -> None:
    request = {
        "node": {"id": "curl.curl"},
        "type_url": "type.googleapis.com/envoy.config.listener.v3.Listener",
    }
    async with control_plane(tmp_path) as plane:
        method = f"{ADS}/StreamAggregatedResources"
        answer = json.loads(await _grpcurl(plane.address, method, data=json.dumps(request)))

        names = [resource["name"] for resource in answer["resources"]]
        assert ["outbound-listener", "prometheus-listener"] == names


@pytest.mark.parametrize("variant", ["Stream", "Delta"])
@pytest.mark.parametrize("type_url", ["", *OWN], ids=lambda held: short(held) or "aggregated")
async def test_each_streaming_method_answers_by_hand(
    tmp_path: Path, type_url: str, variant: str
) -> None:
    """The type of a method need not be said; on the aggregated stream it must."""
    methods = OWN[type_url] if type_url else AGGREGATED
    method = methods.sotw if variant == "Stream" else methods.delta
    names = "resource_names" if variant == "Stream" else "resource_names_subscribe"
    asked = {**({} if type_url else {"type_url": CLUSTER}), "node": {"id": "curl.curl"}}
    async with control_plane(tmp_path) as plane:
        snapshot = plane.hub.snapshot(ClientKind.ENVOY, SidecarId.parse("curl.curl"))
        assert snapshot is not None
        wanted = [*snapshot.of(type_url or CLUSTER)]
        data = json.dumps({**asked, names: wanted or ["absent"]})
        said = await _grpcurl(plane.address, method.removeprefix("/"), data=data)

        # Of SotW secrets there are none here, and nothing is said of one that is not there.
        answer = json.loads(said or "{}")
        assert bool(said) is (type_url != SECRET or variant == "Delta")
        assert len(answer.get("resources", [])) == len(wanted)


async def test_the_inspector_shows_a_snapshot_in_full(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        method = "towpath.v1.Inspector/GetSnapshot"
        answer = json.loads(await _grpcurl(plane.address, method, data='{"node_id": "curl.curl"}'))

        assert 4 == len(answer["types"])
        assert plane.hub.mesh.mesh_name == "osm"


async def test_a_watched_snapshot_is_printed_anew_when_it_changes(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        process = await _start(
            plane.address,
            "towpath.v1.Inspector/WatchSnapshot",
            data='{"node_id": "curl.curl"}',
            seconds=20,
        )
        try:
            first = await _message(process)
            plane.switch_egress(on=True)
            second = await _message(process)
        finally:
            process.kill()
            await process.communicate()

        assert first["version"] != second["version"]
        changed = [
            a["type_url"] for a, b in zip(first["types"], second["types"], strict=True) if a != b
        ]
        assert [LISTENER] == changed


@pytest.mark.parametrize("method", ["FetchClientStatus", "StreamClientStatus"])
async def test_the_status_of_every_client_is_told(tmp_path: Path, method: str) -> None:
    asked = {
        "node_matchers": [{"node_id": {"suffix": ".curl"}}],
        "exclude_resource_contents": True,
    }
    async with control_plane(tmp_path) as plane, plane.stream() as stream:
        await stream.say(CLUSTER)
        await stream.hear()
        answer = json.loads(
            await _grpcurl(plane.address, f"{CSDS}/{method}", data=json.dumps(asked))
        )

        (client,) = answer["config"]
        assert {"id": "curl.curl"} == client["node"]
        assert {"STALE"} == {one["config_status"] for one in client["generic_xds_configs"]}
        assert {CLUSTER} == {one["type_url"] for one in client["generic_xds_configs"]}
        assert not any("xds_config" in one for one in client["generic_xds_configs"])


async def test_health_is_serving(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        answer = json.loads(await _grpcurl(plane.address, "grpc.health.v1.Health/Check", data="{}"))

        assert {"status": "SERVING"} == answer


async def test_the_local_socket_answers_people_beside_a_server_with_tls(tmp_path: Path) -> None:
    async with control_plane(tmp_path, tls=Certificates(tmp_path).server()) as plane:
        socket, method = str(plane.local_socket), "towpath.v1.Inspector/GetSnapshot"
        listed = (await _grpcurl(socket, "list")).split()
        answer = json.loads(await _grpcurl(socket, method, data='{"node_id": "curl.curl"}'))

    assert "towpath.v1.Inspector" in listed
    assert answer["types"]


async def test_an_identity_that_is_listed_asks_over_tls(tmp_path: Path) -> None:
    certificates, spiffe_id = Certificates(tmp_path), "spiffe://cluster.local/person/jo"
    jo = certificates.issue("jo", uris=(spiffe_id,))
    served = control_plane(tmp_path, tls=certificates.server(), people=frozenset({spiffe_id}))
    async with served as plane:
        listed = (await _grpcurl(plane.address, "list", tls=jo)).split()
        answer = json.loads(
            await _grpcurl(plane.address, "towpath.v1.Inspector/ListPolicies", tls=jo)
        )

    assert {ADS, "towpath.v1.Inspector"} <= set(listed)
    assert {} == answer
