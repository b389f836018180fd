"""IngressBackends beside mutual TLS on real Envoys: plaintext in strict mode, and https."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest

from support.dataplane.clients import curl
from support.dataplane.encrypted import Encrypted, open_encrypted
from support.dataplane.hosts import APP_PORT, Hosts
from support.dataplane.ingress import backend, switches
from support.dataplane.netns import Namespace
from support.dataplane.network import POD_ADDRESSES, ROUTER, Network
from support.dataplane.rig import Rig
from support.dataplane.wait import equals
from towpath.encode.envoy.bootstrap import Transport

pytestmark = pytest.mark.dataplane

SERVICE, POD = "10.96.0.20", POD_ADDRESSES["bookstore-0"]


@pytest.fixture(scope="module")
def strict(
    network: Network, hosts: Hosts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Encrypted]:
    """A mesh in which nothing but mutual TLS is let in, and permissive mode is off."""
    folder = tmp_path_factory.mktemp("strict")
    with open_encrypted(
        network, hosts, transport=Transport.DELTA, folder=folder, prepare=switches
    ) as mesh:
        mesh.set_mode("strict")
        yield mesh


def test_in_strict_mode_plaintext_comes_in_from_the_sources_alone(strict: Encrypted) -> None:
    rig = strict.rig
    rig.manifests.apply(backend({"kind": "IPRange", "name": f"{ROUTER}/32"}))
    until(rig, rig.network.control, 200)
    stranger = call(rig.network.pods["bookstore-1"])
    rig.manifests.withdraw()
    until(rig, rig.network.control, 0)

    assert 200 != stranger


def test_whom_an_ingress_backend_kept_out_stays_out_when_it_is_gone(strict: Encrypted) -> None:
    """On a connection from before, which ends only when the sidecar has drained its chain."""
    rig = strict.rig
    traffic = {"enablePermissiveTrafficPolicyMode": True}
    rig.manifests.patch("MeshConfig", "osm-mesh-config", {"spec": {"traffic": traffic}})
    rig.manifests.apply(backend({"kind": "IPRange", "name": f"{ROUTER}/32"}))
    until(rig, rig.network.control, 200)
    with rig.network.pods["bookstore-1"].connect(POD, APP_PORT) as stranger:
        before = _asked(stranger)
        rig.manifests.withdraw()
        until(rig, rig.network.control, 0)
        after = _asked(stranger)
    traffic["enablePermissiveTrafficPolicyMode"] = False
    rig.manifests.patch("MeshConfig", "osm-mesh-config", {"spec": {"traffic": traffic}})

    assert (403, 403) == (before, after)


def test_https_comes_in_by_certificate_and_is_asked_for_every_condition(strict: Encrypted) -> None:
    rig = strict.rig
    curl_account = {"kind": "AuthenticatedPrincipal", "name": "curl.curl.cluster.local"}
    nobody = {"kind": "AuthenticatedPrincipal", "name": "other.curl.cluster.local"}
    rig.manifests.apply(backend(curl_account, protocol="https"))
    through(rig, 200)
    # Without a certificate it is not even heard.
    assert 0 == call(rig.network.control)
    for sources, status in (
        ([nobody], 403),
        ([curl_account, {"kind": "IPRange", "name": "192.0.2.0/24"}], 403),
        ([curl_account, {"kind": "IPRange", "name": "10.10.0.0/24"}], 200),
    ):
        rig.manifests.apply(backend(*sources, protocol="https"))
        through(rig, status)


def _asked(connection: socket.socket) -> int:
    """The status of one more request on a connection."""
    connection.sendall(b"GET / HTTP/1.1\r\nhost: bookstore\r\n\r\n")
    answer = HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def call(caller: Namespace, *options: str, port: int = APP_PORT) -> int:
    return curl(caller, f"http://{POD}:{port}/", *options).status


def until(rig: Rig, caller: Namespace, status: int) -> None:
    rig.sidecars["bookstore-0"].until(
        lambda: call(caller), equals(status), what=f"the pod answers {status}"
    )


def through(rig: Rig, status: int) -> None:
    """A call of the service, through the sidecar of the client."""
    rig.sidecar.until(
        lambda: curl(rig.client, f"http://{SERVICE}/").status,
        equals(status),
        what=f"the service answers {status}",
    )
