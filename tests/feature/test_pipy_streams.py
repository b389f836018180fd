"""Pipy sidecars beside others on one server: each kind of client is sent its own resources."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.control_plane import ControlPlane, control_plane
from towpath.model.codes import Reason
from towpath.model.names import ClientKind
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SIDECAR
from towpath_api.v1.sidecar_pb2 import SidecarConfig
from towpath_client import AdsClient, Mode, Update

NODE = "curl.curl"
POLICY = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata: {name: secure, namespace: curl}
spec:
  sources: [{kind: ServiceAccount, name: curl, namespace: curl}]
  hosts: [example.org]
  ports: [{number: 443, protocol: https}]
"""


def config_in(update: Update) -> SidecarConfig:
    assert [NODE] == list(update.resources)
    config = SidecarConfig()
    assert update.resources[NODE].body.Unpack(config)
    return config


@pytest.mark.parametrize("mode", ["delta", "sotw"])
@pytest.mark.parametrize("name", ["*", NODE])
async def test_a_sidecar_is_named_by_its_node_id_or_by_the_wildcard(
    tmp_path: Path, mode: Mode, name: str
) -> None:
    async with (
        control_plane(tmp_path) as plane,
        AdsClient(plane.address, NODE, mode=mode) as client,
        asyncio.timeout(30),
    ):
        updates = client.subscribe(SIDECAR, (name,))
        assert not config_in(await anext(updates)).spec.traffic.enable_egress

        plane.switch_egress(on=True)
        assert config_in(await anext(updates)).spec.traffic.enable_egress


async def test_three_kinds_of_client_on_one_server_are_sent_their_own(tmp_path: Path) -> None:
    async with (
        control_plane(tmp_path) as plane,
        AdsClient(plane.address, NODE) as pipy,
        AdsClient(plane.address, NODE) as envoy,
        AdsClient(plane.address, NODE, mode="sotw", user_agent="gRPC C-core") as grpc,
        asyncio.timeout(30),
    ):
        sidecar = await anext(pipy.subscribe(SIDECAR))
        asked_by_pipy = pipy.subscribe(LISTENER)
        listeners = await anext(envoy.subscribe(LISTENER))
        clusters = await anext(envoy.subscribe(CLUSTER))
        asked_by_envoy = envoy.subscribe(SIDECAR)
        targets = await anext(grpc.subscribe(CLUSTER))

        assert [NODE] == list(sidecar.resources)
        assert {} == dict((await anext(asked_by_pipy)).resources)
        assert {} == dict((await anext(asked_by_envoy)).resources)
        assert "inbound-listener" not in sidecar.resources
        assert "prometheus-listener" in listeners.resources
        assert {"passthrough-outbound", "sidecar-admin"} <= clusters.resources.keys()
        assert {"bookstore/bookstore|80"} == targets.resources.keys()
        kinds = [ClientKind.ENVOY, ClientKind.GRPC, ClientKind.PIPY]
        assert kinds == sorted(delivery.kind for delivery in plane.hub.records)
        for kind, types in {
            ClientKind.ENVOY: {CLUSTER, ENDPOINTS, LISTENER, ROUTES},
            ClientKind.GRPC: {CLUSTER, ENDPOINTS, LISTENER, ROUTES},
            ClientKind.PIPY: {SIDECAR},
        }.items():
            (delivery,) = (d for d in plane.hub.records if d.kind is kind)
            held = plane.hub.snapshot(kind, delivery.sidecar)
            assert held is not None
            assert types <= held.sets.keys()
            assert (SIDECAR in held.sets) == (kind is ClientKind.PIPY)


async def test_what_pipy_cannot_enforce_is_a_problem_while_such_a_sidecar_is_connected(
    tmp_path: Path,
) -> None:
    async with control_plane(tmp_path) as plane, asyncio.timeout(30):
        policies_on(plane)
        async with AdsClient(plane.address, NODE) as client:
            await anext(client.subscribe(SIDECAR))
            await until(plane, unenforceable=1)
            (problem,) = (p for p in plane.hub.problems() if p.reason is Reason.NOT_ENFORCEABLE)

            assert "Egress curl/secure" == str(problem.object)
            assert problem.message.startswith("pipy sidecars do not look at the server name")
        await until(plane, unenforceable=0)


def policies_on(plane: ControlPlane) -> None:
    (plane.folder / "policy.yaml").write_text(POLICY)
    path = plane.folder / "meshconfig.yaml"
    path.write_text(
        path.read_text().replace("enableEgressPolicy: false", "enableEgressPolicy: true")
    )


async def until(plane: ControlPlane, *, unenforceable: int) -> None:
    def found() -> int:
        return sum(p.reason is Reason.NOT_ENFORCEABLE for p in plane.hub.problems())

    while found() != unenforceable:
        await asyncio.sleep(0.01)
