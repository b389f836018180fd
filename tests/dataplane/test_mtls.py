"""Mutual TLS between real sidecars: who speaks it, what it carries, who is refused, and that no
connection is lost when that changes.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from support.certificates import Certificates, write
from support.dataplane import encrypting
from support.dataplane.clients import curl, steady_calls
from support.dataplane.encrypted import (
    ECHO,
    GRPC,
    SERVER,
    WEB,
    Encrypted,
    grpc_server,
    open_encrypted,
)
from support.dataplane.envoy import Envoy
from support.dataplane.hosts import APP_PORT, APP_TLS_PORT, ECHO_PORT, Hosts
from support.dataplane.network import POD_ADDRESSES, Network
from support.dataplane.protocols import SERVICES_BY_PROTOCOL, echoed, outcomes_of
from support.dataplane.wait import equals, until
from towpath.encode.envoy.bootstrap import Transport

pytestmark = pytest.mark.dataplane

SERVER_ADDRESS = POD_ADDRESSES[SERVER]
PLAIN_OF_UNMARKED = f"http.inbound-mesh_{APP_PORT}.downstream_cx_total"
PLAIN = f"inbound-plain.{APP_PORT}"


@dataclass(frozen=True)
class Shown:
    """A certificate of the mesh's own authority, and whether it is an account's."""

    uris: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    accepted: bool = False
    lifetime: timedelta = timedelta(hours=1)


NAME = "spiffe://cluster.local/ns/curl/sa/curl"
CERTIFICATES = {
    "an account's": Shown(uris=(NAME,), accepted=True),
    "a name of DNS": Shown(dns=(NAME, "curl.curl.cluster.local")),
    "no name": Shown(),
    "a person's": Shown(uris=("spiffe://cluster.local/person/ada",)),
    "of a longer trust domain": Shown(uris=("spiffe://cluster.local.evil/ns/curl/sa/curl",)),
    "one that has ended": Shown(uris=(NAME,), lifetime=timedelta(seconds=-1)),
}


@pytest.fixture(scope="module")
def mesh(
    network: Network,
    hosts: Hosts,
    transport: Transport,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Encrypted]:
    folder = tmp_path_factory.mktemp("mtls")
    with (
        open_encrypted(network, hosts, transport=transport, folder=folder) as opened,
        grpc_server(opened.rig),
    ):
        yield opened


@pytest.fixture
def permissive(mesh: Encrypted) -> Encrypted:
    mesh.set_mode("permissive")
    mesh.until_chains(lambda chains: PLAIN in chains, what="plaintext is let in")
    return mesh


@pytest.fixture
def strict(mesh: Encrypted) -> Iterator[Encrypted]:
    """The namespace says it; the mesh stays permissive."""
    mesh.set_mode("strict", namespace="bookstore")
    mesh.until_chains(lambda chains: PLAIN not in chains, what="plaintext is refused")
    yield mesh
    mesh.set_mode(None, namespace="bookstore")


def test_marked_pods_call_each_other_by_mutual_tls(permissive: Encrypted) -> None:
    before, plain = permissive.handshakes(), permissive.plaintext()

    assert 200 == curl(permissive.rig.client, f"http://{WEB[0]}/").status
    assert permissive.handshakes() > before
    assert plain == permissive.plaintext()


def test_who_is_no_sidecar_is_let_in_in_plaintext_and_counted(permissive: Encrypted) -> None:
    control, before = permissive.rig.network.control, permissive.plaintext()

    assert 200 == curl(control, f"http://{SERVER_ADDRESS}:{APP_PORT}/").status
    assert permissive.plaintext() == before + 1
    page = curl(control, f"http://{SERVER_ADDRESS}:15010/stats/prometheus").body
    series = (
        'envoy_http_downstream_cx_total{envoy_http_conn_manager_prefix="inbound-plain_8080"}',
        'envoy_http_downstream_cx_active{envoy_http_conn_manager_prefix="inbound-plain_8080"}',
        'envoy_tcp_downstream_cx_total{envoy_tcp_prefix="inbound-plain_9000"}',
        'envoy_listener_ssl_handshake{envoy_listener_address="0.0.0.0_15003"}',
    )
    assert [] == [one for one in series if one not in page]


def test_check_50_strict_refuses_plaintext_and_its_log_says_so(strict: Encrypted) -> None:
    refused = curl(strict.rig.network.control, f"http://{SERVER_ADDRESS}:{APP_PORT}/")
    called = curl(strict.rig.client, f"http://{WEB[0]}/")

    assert (0, 200) == (refused.status, called.status)
    server = strict.rig.sidecars[SERVER]
    flags = server.until(
        lambda: [
            (line["response_flags"], line["filter_chain_name"])
            for line in server.access_log()
            if line["downstream_remote_address"].startswith("10.10.0.1:")
            and line["response_flags"] == "NR"
        ],
        bool,
        what="a refused connection is logged",
    )
    assert {("NR", None)} == set(flags)


@pytest.mark.parametrize("mode", ["permissive", "strict"])
def test_check_42_every_protocol_goes_through(
    mesh: Encrypted, request: pytest.FixtureRequest, mode: str
) -> None:
    request.getfixturevalue(mode)
    before, plain = mesh.handshakes(), mesh.plaintext()

    outcomes = outcomes_of(mesh.rig.client, mesh.rig.hosts, SERVICES_BY_PROTOCOL)

    assert dict.fromkeys(outcomes, "ok") == outcomes
    assert mesh.handshakes() >= before + 3  # HTTP may go over connections that are there
    assert plain == mesh.plaintext()


def test_check_43_plaintext_of_every_protocol_goes_through_beside_it(
    permissive: Encrypted,
) -> None:
    control = permissive.rig.network.control
    direct = {
        "http": (SERVER_ADDRESS, APP_PORT),
        "mail": (SERVER_ADDRESS, 9100),
        "echo": (SERVER_ADDRESS, ECHO_PORT),
        "own TLS": (SERVER_ADDRESS, APP_TLS_PORT),
        "gRPC": (SERVER_ADDRESS, GRPC[1]),
        "websocket": (SERVER_ADDRESS, 9200),
    }
    outcomes = outcomes_of(control, permissive.rig.hosts, direct)

    assert dict.fromkeys(outcomes, "ok") == outcomes


def test_check_40_who_answers_as_another_account_is_refused(permissive: Encrypted) -> None:
    """By TCP, where each connection is one between the sidecars: one that is pooled lives on."""
    rig, refused = permissive.rig, "cluster.bookstore/echo|9000.ssl.fail_verify_san"
    account = rig.manifests.find("Pod", SERVER)["spec"]["serviceAccountName"]
    assert echoed(rig.client, ECHO)
    rig.manifests.patch("Pod", SERVER, {"spec": {"serviceAccountName": "other"}})
    try:
        until(lambda: echoed(rig.client, ECHO), equals(expected=False), what="it is refused")
        assert rig.sidecar.admin.stat(refused) > 0
    finally:
        rig.manifests.patch("Pod", SERVER, {"spec": {"serviceAccountName": account}})
    until(lambda: echoed(rig.client, ECHO), bool, what="the account's own pod answers")


@pytest.mark.parametrize("which", CERTIFICATES)
def test_check_45_an_accounts_certificate_is_taken_and_no_other(
    permissive: Encrypted, tmp_path: Path, which: str
) -> None:
    shown = CERTIFICATES[which]

    assert shown.accepted == _let_in(permissive, _context(permissive, tmp_path, shown))


def test_nor_is_a_client_without_any_or_with_another_authoritys(
    permissive: Encrypted, tmp_path: Path
) -> None:
    other = Certificates(tmp_path, name="other").sidecar("curl", "curl")
    strangers = _trusting_anybody()
    strangers.load_cert_chain(other.certificate, other.key)

    assert not _let_in(permissive, _trusting_anybody())
    assert not _let_in(permissive, strangers)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_check_44_a_session_ends_with_the_certificate_that_it_began_with(
    permissive: Encrypted, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    lifetime = timedelta(seconds=4)
    context = _context(permissive, tmp_path, Shown(uris=(NAME,), lifetime=lifetime))
    context.maximum_version, ends = version, time.monotonic() + 5.0
    first = _session(permissive, context)
    again = _session(permissive, context, first)
    until(time.monotonic, lambda now: now > ends, what="the certificate has ended")

    assert not again.reused
    assert not _let_in(permissive, context, first)


def test_check_46_marked_and_unmarked_endpoints_of_one_service_answer_side_by_side(
    permissive: Encrypted,
) -> None:
    rig, second = permissive.rig, "bookstore-1"
    rig.manifests.add_endpoint("bookstore", name="second", address=POD_ADDRESSES[second])
    before = permissive.plaintext(), rig.sidecars[second].admin.stat(PLAIN_OF_UNMARKED)
    try:
        rig.sidecar.until(
            lambda: {curl(rig.client, f"http://{WEB[0]}/").body.strip() for _ in range(10)},
            equals({SERVER, second}),
            what="both endpoints answer",
        )
        after = permissive.plaintext(), rig.sidecars[second].admin.stat(PLAIN_OF_UNMARKED)
    finally:
        rig.manifests.remove_endpoint("second")

    assert (before[0], True) == (after[0], after[1] > before[1])


def test_check_46_a_headless_service_is_called_by_mutual_tls_once_all_of_it_is_marked(
    permissive: Encrypted,
) -> None:
    rig, there = permissive.rig, (SERVER_ADDRESS, ECHO_PORT)
    rig.manifests.add_service(
        "bookstore",
        name="direct",
        address="None",
        port=ECHO_PORT,
        target_port=ECHO_PORT,
        protocol="tcp",
    )
    cluster, admin = f"bookstore/direct|{ECHO_PORT}", rig.sidecar.admin
    rig.sidecar.until(
        lambda: "transport_socket" in admin.clusters().get(cluster, {}).get("cluster", {}),
        bool,
        what="the headless service is called by mutual TLS",
    )
    # The listener follows the cluster.
    rig.sidecar.until(
        lambda: echoed(rig.client, there), equals(expected=True), what="its calls arrive"
    )
    before, plain = permissive.handshakes(), permissive.plaintext()
    assert echoed(rig.client, there)
    assert (before + 1, plain) == (permissive.handshakes(), permissive.plaintext())

    rig.manifests.add_endpoint("direct", name="more", address=POD_ADDRESSES["bookstore-1"])
    rig.sidecar.until(
        lambda: "transport_socket" in admin.clusters()[cluster]["cluster"],
        equals(expected=False),
        what="the headless service is called in plaintext",
    )
    rig.sidecar.until(
        lambda: echoed(rig.client, there), equals(expected=True), what="its calls arrive"
    )
    plain = permissive.plaintext()
    assert echoed(rig.client, there)
    assert plain + 1 == permissive.plaintext()
    rig.manifests.remove_endpoint("more")
    rig.manifests.remove_service("direct")
    for sidecar in (rig.sidecar, rig.sidecars[SERVER]):
        clusters = partial(_clusters_of_direct, sidecar)
        sidecar.until(clusters, lambda names: not names, what="the service is gone")


def _clusters_of_direct(sidecar: Envoy) -> list[str]:
    return [name for name in sidecar.admin.clusters() if "/direct|" in name]


def test_check_47_a_rejected_certificate_leaves_the_last_one_in_use(permissive: Encrypted) -> None:
    rig, rejected = permissive.rig, "towpath_xds_nacks_total"
    before, leaves = rig.towpath.metric(rejected, type="sds"), permissive.leaves(SERVER)
    permissive.spoil(spoiled=True)
    until(
        lambda: rig.towpath.metric(rejected, type="sds"),
        lambda count: count >= before + 2,
        what="both sidecars reject their certificates",
    )
    assert echoed(rig.client, ECHO)
    # Nor is anything else lost: a new listener is made with what is there again.
    permissive.set_mode("strict")
    permissive.until_chains(lambda chains: PLAIN not in chains, what="plaintext is refused")
    assert echoed(rig.client, ECHO)
    assert permissive.leaves(SERVER) <= leaves
    permissive.spoil(spoiled=False)
    permissive.renew(seconds=7000)
    _renewed(permissive, leaves)
    assert echoed(rig.client, ECHO)


def test_sidecars_speak_tls_as_the_mesh_config_says(permissive: Encrypted) -> None:
    manifests, spoken = permissive.rig.manifests, r"^listener\.0\.0\.0\.0_15003\.ssl\."
    cipher = "ECDHE-ECDSA-CHACHA20-POLY1305"

    def counted() -> dict[str, int]:
        pattern = rf"{spoken}(versions|ciphers|curves)\."
        stats = permissive.rig.sidecars[SERVER].admin.stats(pattern)
        return {name.partition(".ssl.")[2]: count for name, count in stats.items()}

    def say(**sidecar: object) -> None:
        manifests.patch("MeshConfig", "osm-mesh-config", {"spec": {"sidecar": sidecar}})

    before = counted()
    say(
        tlsMaxProtocolVersion="TLSv1_2",
        cipherSuites=["NONSENSE", cipher],
        ecdhCurves=["P-384", "P-256"],
    )
    expected = {"versions.TLSv1.2", f"ciphers.{cipher}", "curves.P-384"}

    def differs() -> set[str]:
        assert echoed(permissive.rig.client, ECHO)
        return {name for name, count in counted().items() if count > before.get(name, 0)}

    until(differs, expected.issubset, what="connections are as the MeshConfig says")
    assert echoed(permissive.rig.client, ECHO)
    say(tlsMinProtocolVersion=None, tlsMaxProtocolVersion=None, cipherSuites=None, ecdhCurves=None)
    before = counted()
    until(differs, lambda names: "versions.TLSv1.3" in names, what="it is as before")
    assert echoed(permissive.rig.client, ECHO)


async def test_no_connection_is_lost_when_leaves_are_renewed(permissive: Encrypted) -> None:
    async with steady_calls(permissive.rig.client, WEB) as calls:
        for round_ in range(5):
            before = permissive.leaves(SERVER)
            permissive.renew(seconds=7200 + 2 * round_)
            await asyncio.to_thread(_renewed, permissive, before)

    print(f"5 renewals: {calls.lost} lost of {calls.opened}")
    assert 0 == calls.lost, f"of {calls.opened}: {calls.outcomes}"
    assert calls.opened > 5


async def test_no_connection_is_lost_when_what_sidecars_offer_of_tls_changes(
    permissive: Encrypted,
) -> None:
    """Each change leaves versions, ciphers and curves that both the old and the new have."""
    ciphers = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"]
    changes: list[dict[str, object]] = [
        {"ecdhCurves": ["P-384", "P-256"]},
        {"tlsMaxProtocolVersion": "TLSv1_2"},
        {"cipherSuites": ciphers},
        {"ecdhCurves": None, "tlsMaxProtocolVersion": None, "cipherSuites": None},
    ]
    updated = "listener_manager.listener_in_place_updated", "cluster_manager.cluster_modified"
    sidecars = permissive.rig.sidecars[SERVER], permissive.rig.sidecar
    async with steady_calls(permissive.rig.client, WEB) as calls:
        for change in changes:
            before = [s.admin.stat(name) for s, name in zip(sidecars, updated, strict=True)]
            spec = {"spec": {"sidecar": change}}
            permissive.rig.manifests.patch("MeshConfig", "osm-mesh-config", spec)
            for sidecar, name, count in zip(sidecars, updated, before, strict=True):
                asked = partial(sidecar.admin.stat, name)
                await asyncio.to_thread(until, asked, (count + 1).__le__, what=name)

    print(f"{len(changes)} changes of TLS: {calls.lost} lost of {calls.opened}")
    assert 0 == calls.lost, f"of {calls.opened}: {calls.outcomes}"
    assert calls.opened > len(changes)


async def test_check_49_no_connection_is_lost_when_the_mode_changes(permissive: Encrypted) -> None:
    """The part of a migration that changes running sidecars; `make prove` restarts them too."""
    steps = ("disabled", "permissive", "strict", "permissive", "disabled", "permissive")
    async with steady_calls(permissive.rig.client, WEB) as calls:
        for mode in steps:
            permissive.set_mode(mode)
            await asyncio.to_thread(_settled, permissive, mode)

    print(f"{len(steps)} changes of mode: {calls.lost} lost of {calls.opened}")
    assert 0 == calls.lost, f"of {calls.opened}: {calls.outcomes}"
    assert calls.opened > len(steps)


def _context(mesh: Encrypted, folder: Path, shown: Shown) -> ssl.SSLContext:
    """A client that shows a certificate of the mesh's authority."""
    pair = encrypting.authority(mesh.authority).issue(
        "client", lifetime=shown.lifetime, dns=shown.dns, uris=shown.uris
    )
    certificate, key = folder / "client.crt", folder / "client.key"
    write(pair, certificate, key)
    context = _trusting_anybody()
    context.load_cert_chain(certificate, key)
    return context


def _trusting_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["osm"])
    return context


@dataclass(frozen=True)
class Session:
    """What a client keeps of a connection, and whether that one was a resumed session."""

    ticket: ssl.SSLSession | None
    reused: bool


def _session(mesh: Encrypted, context: ssl.SSLContext, before: Session | None = None) -> Session:
    """One connection that is let in."""
    with _connected(mesh, context, before) as connection:
        assert _answered(connection)
        return Session(connection.session, bool(connection.session_reused))


def _let_in(mesh: Encrypted, context: ssl.SSLContext, before: Session | None = None) -> bool:
    with suppress(OSError), _connected(mesh, context, before) as connection:
        return _answered(connection)
    return False


def _connected(mesh: Encrypted, context: ssl.SSLContext, before: Session | None) -> ssl.SSLSocket:
    plain = mesh.rig.network.control.connect(SERVER_ADDRESS, APP_PORT)
    return context.wrap_socket(plain, session=before.ticket if before else None)


def _answered(connection: ssl.SSLSocket) -> bool:
    connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    return connection.recv(100).startswith(b"HTTP/1.1 200")


def _renewed(mesh: Encrypted, before: frozenset[str]) -> None:
    until(lambda: mesh.leaves(SERVER) - before, bool, what="a new leaf is used")


def _settled(mesh: Encrypted, mode: str) -> None:
    """Both sidecars hold what the mode says, and new connections show it."""
    mesh.until_chains(lambda chains: (PLAIN in chains) == (mode != "strict"), what=mode)
    clusters = mesh.rig.sidecar.admin.clusters
    mesh.rig.sidecar.until(
        lambda: "transport_socket_matches" in clusters()["bookstore/bookstore|80"]["cluster"],
        equals(mode != "disabled"),
        what=f"the client calls as {mode} says",
    )
