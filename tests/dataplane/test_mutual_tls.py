"""A real sidecar and the control plane over mutual TLS: who is served, and what rotation does."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Certificates
from support.dataplane.clients import curl
from support.dataplane.envoy import Envoy
from support.dataplane.hosts import Hosts
from support.dataplane.mesh import CURL_ALONE, Manifests
from support.dataplane.network import ROUTER, Network
from support.dataplane.rig import Rig, open_rig
from support.dataplane.sidecar import sidecar_config
from support.dataplane.towpath import HTTP_PORT
from support.dataplane.wait import equals, until
from towpath.encode.envoy.bootstrap import Transport
from towpath_client import TlsFiles

pytestmark = pytest.mark.dataplane

CONNECTIONS = "cluster.control-plane.upstream_cx_total"
REFUSED = "towpath_access_refused_total"


@pytest.fixture(scope="module")
def certificates(transport: Transport, tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp(f"certificates-{transport.name}"))


@pytest.fixture(scope="module")
def secure(
    network: Network,
    hosts: Hosts,
    transport: Transport,
    certificates: Certificates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Rig]:
    """The mesh of the `curl` client alone, over mutual TLS."""
    folder = tmp_path_factory.mktemp("secure")
    manifests = Manifests(CURL_ALONE, folder / "manifests")
    with open_rig(
        network, hosts, manifests, transport=transport, folder=folder, certificates=certificates
    ) as rig:
        yield rig


def test_a_sidecar_with_its_own_certificate_is_served(secure: Rig) -> None:
    secure.switch_egress(on=True)
    secure.switch_egress(on=False)

    assert 0 == secure.towpath.metric(REFUSED)


def test_no_one_is_served_without_a_certificate(secure: Rig, certificates: Certificates) -> None:
    host, port = secure.towpath.ads
    control, path = secure.network.control, f"{host}:{port}/grpc.health.v1.Health/Check"
    plain = curl(control, f"http://{path}")
    bare = curl(control, f"https://{path}", "--cacert", str(certificates.ca))

    # Which error curl reports is a matter of luck; not these: it connected (7), was not left
    # waiting (28), and trusted the server (60).
    assert {0, 7, 28, 60}.isdisjoint({plain.exit_code, bare.exit_code}), (plain, bare)
    assert (0, 0) == (plain.status, bare.status)


def test_no_other_port_is_open_but_that_of_health_and_metrics(secure: Rig) -> None:
    listening = secure.network.control.run("cat", "/proc/net/tcp").stdout.splitlines()[1:]
    rows = [line.split() for line in listening]
    ports = {int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A"}

    assert {secure.towpath.ads[1], HTTP_PORT} == ports


def test_streams_outlive_a_new_certificate_which_new_connections_are_shown(
    secure: Rig, certificates: Certificates
) -> None:
    before, connections = _shown(secure), secure.sidecar.admin.stat(CONNECTIONS)
    certificates.server(addresses=(ROUTER,))
    until(lambda: _shown(secure) != before, bool, what="the new certificate is shown")
    secure.switch_egress(on=True)

    assert connections == secure.sidecar.admin.stat(CONNECTIONS)
    secure.sidecar.process.stop()
    secure.sidecar.process.start()
    secure.sidecar.wait_ready()
    secure.switch_egress(on=False)


def test_a_sidecar_of_another_account_gets_nothing(secure: Rig, certificates: Certificates) -> None:
    before = secure.towpath.metric(REFUSED, audience="sidecars", reason="other-account")
    secure.sidecar.process.stop()
    with _impostor(secure, certificates.sidecar("curl", "other")) as envoy:
        envoy.until(
            lambda: secure.towpath.metric(REFUSED, reason="other-account"),
            lambda count: count > before,
            what="the impostor is refused",
        )
        assert (False, {}) == (envoy.admin.ready(), envoy.admin.listeners())
        log = envoy.process.log.read_text()
    secure.sidecar.process.start()
    secure.sidecar.wait_ready()

    assert "service account curl/other may not subscribe as Pod curl/curl" in log


async def test_a_pod_that_becomes_another_accounts_takes_nothing_from_its_old_sidecar(
    secure: Rig,
) -> None:
    await secure.toggle(on=False)
    account = secure.manifests.find("Pod", "curl")["spec"]["serviceAccountName"]
    before = secure.towpath.metric(REFUSED)
    secure.manifests.patch("Pod", "curl", {"spec": {"serviceAccountName": "other"}})
    _refused_more_often(secure, than=before)
    sent = secure.towpath.responses()
    secure.manifests.set_egress(on=True)
    # Every attempt from now on is refused after the change was read, or one later.
    _refused_more_often(secure, than=secure.towpath.metric(REFUSED) + 2)

    assert sent == secure.towpath.responses()
    assert "outbound-listener" not in secure.sidecar.admin.listeners()
    secure.manifests.patch("Pod", "curl", {"spec": {"serviceAccountName": account}})
    secure.sidecar.until(
        lambda: "outbound-listener" in secure.sidecar.admin.listeners(),
        equals(expected=True),
        what="the pod's own account is served again",
    )


def _impostor(rig: Rig, tls: TlsFiles) -> Envoy:
    """A sidecar in the client's pod that shows another certificate."""
    node_id = rig.sidecar.node_id
    config = sidecar_config(node_id, server=rig.towpath.ads, transport=rig.transport, tls=tls)
    folder = Path(rig.folder / "impostor")
    folder.mkdir()
    return Envoy(rig.client, config, folder=folder)


def _refused_more_often(rig: Rig, *, than: float) -> None:
    until(
        lambda: rig.towpath.metric(REFUSED, reason="other-account"),
        lambda count: count > than,
        what="the old sidecar is refused",
    )


def _shown(rig: Rig) -> bytes:
    """The certificate that the server shows to a new connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    plain = rig.network.control.connect(*rig.towpath.ads)
    with context.wrap_socket(plain) as connection:
        shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return shown
