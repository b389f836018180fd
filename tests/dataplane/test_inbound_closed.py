"""Where nobody may come in, nobody does but the kubelet, whatever leads to the pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from support.dataplane.clients import curl, greeting
from support.dataplane.hosts import APP_BANNER_PORT, APP_PORT, BANNER
from support.dataplane.mesh import WITH_A_SERVICE, Manifests
from support.dataplane.network import POD_ADDRESSES
from support.dataplane.rig import Rig
from support.dataplane.wait import equals

pytestmark = pytest.mark.dataplane

POD = POD_ADDRESSES["bookstore-0"]
PROBES = {
    "livenessProbe": {"tcpSocket": {"port": APP_BANNER_PORT}},
    "readinessProbe": {"httpGet": {"path": "/health", "port": APP_PORT}},
}
OPEN = {"enablePermissiveTrafficPolicyMode": True, "inboundExternalAuthorization": None}
NOT_PERMISSIVE = {"enablePermissiveTrafficPolicyMode": False}
ASK_ELSEWHERE = {"inboundExternalAuthorization": {"enable": True, "address": "10.0.0.1"}}


@pytest.fixture(scope="module")
def probed(open_mesh: Any) -> Rig:
    """The mesh with a service, whose pod is probed over HTTP and by a mere connection."""

    def with_probes(manifests: Manifests) -> None:
        [container] = manifests.find("Pod", "bookstore-0")["spec"]["containers"]
        change = {"spec": {"containers": [{**container, **PROBES}]}}
        manifests.patch("Pod", "bookstore-0", change)

    rig: Rig = open_mesh(WITH_A_SERVICE, prepare=with_probes)
    return rig


@pytest.mark.parametrize("closing", [NOT_PERMISSIVE, ASK_ELSEWHERE], ids=["policy", "elsewhere"])
def test_nobody_comes_in_but_the_kubelet(probed: Rig, closing: Mapping[str, Any]) -> None:
    switch(probed, OPEN)
    until_status(probed, "/", 200)
    node = probed.network.control
    with node.connect(POD, APP_PORT) as living:
        first = ask(living)
        switch(probed, closing)
        while_closing = probes_until_status(probed, "/", 403)
        second = ask(living)
    statuses = {path: status(probed, path) for path in ("/health", "/health?x=1", "/health/x")}
    put = curl(node, f"http://{POD}:{APP_PORT}/health", "--request", "PUT").status
    in_mesh = curl(probed.client, "http://10.96.0.20/").status

    assert (first, second) == (b"HTTP/1.1 200 OK", b"HTTP/1.1 403 Forbidden")
    assert while_closing == {200}
    assert statuses == {"/health": 200, "/health?x=1": 200, "/health/x": 403}
    assert (put, in_mesh) == (403, 0 if closing is NOT_PERMISSIVE else 403)
    assert greeting(node, (POD, APP_BANNER_PORT)) == b""


def test_the_kubelet_reaches_what_no_service_leads_to(probed: Rig) -> None:
    switch(probed, OPEN)
    until_status(probed, "/", 200)

    assert greeting(probed.network.control, (POD, APP_BANNER_PORT)) == b"" != BANNER


def switch(rig: Rig, traffic: Mapping[str, Any]) -> None:
    rig.manifests.patch("MeshConfig", "osm-mesh-config", {"spec": {"traffic": traffic}})


def until_status(rig: Rig, path: str, wanted: int) -> None:
    rig.sidecars["bookstore-0"].until(
        lambda: status(rig, path), equals(wanted), what=f"{path} of the pod gives {wanted}"
    )


def probes_until_status(rig: Rig, path: str, wanted: int) -> set[int]:
    """What the kubelet's probe gets on the way to that status."""
    statuses = set()

    def probed_first() -> int:
        statuses.add(status(rig, "/health"))
        return status(rig, path)

    rig.sidecars["bookstore-0"].until(
        probed_first, equals(wanted), what=f"{path} of the pod gives {wanted}"
    )
    return statuses | {status(rig, "/health")}


def status(rig: Rig, path: str) -> int:
    """What the node, where the kubelet is, gets from the pod itself; 0 for no answer."""
    return curl(rig.network.control, f"http://{POD}:{APP_PORT}{path}").status


def ask(connection: Any) -> bytes:
    """The first line of the answer to one request on a connection that stays open."""
    connection.sendall(b"GET / HTTP/1.1\r\nhost: bookstore\r\n\r\n")
    return bytes(connection.recv(4096).partition(b"\r\n")[0])
