"""A running mesh moves to mutual TLS and back, workload by workload, under load; and certificates
outlive the control plane. On real Envoys, in both variants of the protocol.

The gate does not collect this file, as its name is no `test_*.py`; `make prove` names it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from support.dataplane import encrypting
from support.dataplane.clients import Tally, steady_calls
from support.dataplane.encrypted import ECHO, SERVER, WEB, Encrypted, open_encrypted
from support.dataplane.hosts import APP_PORT, Hosts
from support.dataplane.mesh import Manifests
from support.dataplane.network import POD_ADDRESSES, Network
from support.dataplane.protocols import echoed
from support.dataplane.wait import equals, until
from towpath.ca import Authority
from towpath.ca.leaves import LeafSigner
from towpath.ca.windows import windows
from towpath.encode.envoy.bootstrap import Transport
from towpath.model.identity import slot_of
from towpath.model.names import Account

pytestmark = [pytest.mark.dataplane, pytest.mark.timeout(600)]

SECOND = "bookstore-1"
CLUSTER = "bookstore/bookstore|80"
PLAIN = f"inbound-plain.{APP_PORT}"
VALIDITY = timedelta(seconds=24)
SLICES = {SERVER: "bookstore-1", SECOND: "second"}
"""The slice in which each pod of the service stands."""


@pytest.fixture
def unmarked(
    network: Network, hosts: Hosts, transport: Transport, tmp_path: Path
) -> Iterator[Encrypted]:
    """Two pods of the service, and a client; nobody is marked."""

    def with_both(manifests: Manifests) -> None:
        address = POD_ADDRESSES[SECOND]
        manifests.add_endpoint("bookstore", name=SLICES[SECOND], address=address)

    with open_encrypted(
        network, hosts, transport=transport, folder=tmp_path, marked=(), prepare=with_both
    ) as mesh:
        yield mesh


async def test_check_49_a_running_mesh_moves_to_mutual_tls_and_back(unmarked: Encrypted) -> None:
    mesh, tallies = unmarked, list[Tally]()
    for marked in (True, False):
        await asyncio.to_thread(_restart, mesh, "curl", marked=not marked)
        async with steady_calls(mesh.rig.client, WEB) as calls:
            for pod in (SERVER, SECOND):
                await asyncio.to_thread(_roll, mesh, pod, marked=marked)
        tallies.append(calls)
        await asyncio.to_thread(_restart, mesh, "curl", marked=True)
        if marked:
            tallies.append(await _strict_and_back(mesh))

    lost = sum(tally.lost for tally in tallies)
    opened = [tally.opened for tally in tallies]
    print(f"{mesh.rig.transport.name}: {lost} lost of {sum(opened)} ({opened})")
    assert 0 == lost, [tally.outcomes for tally in tallies]
    assert min(opened) > 10


async def _strict_and_back(mesh: Encrypted) -> Tally:
    """All are marked: refuse plaintext, take it again, call in plaintext again."""
    handshakes = mesh.handshakes()
    with mesh.rig.client.connect(*ECHO) as open_connection:
        async with steady_calls(mesh.rig.client, WEB) as calls:
            for mode, namespace in (
                ("strict", "bookstore"),
                ("strict", None),
                (None, "bookstore"),
                ("permissive", None),
            ):
                mesh.set_mode(mode, namespace=namespace)
                await asyncio.to_thread(_obeyed, mesh)
                open_connection.sendall(b"still")
                assert b"still" == open_connection.recv(10)
            mesh.set_mode("disabled")
            await asyncio.to_thread(_raw, mesh)
        open_connection.sendall(b"still")
        assert b"still" == open_connection.recv(10)
    assert mesh.handshakes() > handshakes
    return calls


def _roll(mesh: Encrypted, pod: str, *, marked: bool) -> None:
    """Replace a pod of the service as a rollout does: it is no endpoint while it is not ready."""
    manifests, address = mesh.rig.manifests, POD_ADDRESSES[pod]
    hosts, server = mesh.rig.sidecar.admin.hosts, f"{address}:{APP_PORT}"
    endpoints = manifests.find("EndpointSlice", SLICES[pod])["endpoints"]
    manifests.patch("EndpointSlice", SLICES[pod], {"endpoints": []})
    mesh.rig.sidecar.until(
        lambda: server in hosts(CLUSTER), equals(expected=False), what=f"{pod} is no endpoint"
    )
    idle = "http.inbound-mesh_8080.downstream_rq_active"
    until(lambda: mesh.rig.sidecars[pod].admin.stat(idle), equals(0), what=f"{pod} is idle")
    _restart(mesh, pod, marked=marked)
    manifests.patch("EndpointSlice", SLICES[pod], {"endpoints": endpoints})
    mesh.rig.sidecar.until(
        lambda: server in hosts(CLUSTER), bool, what=f"{pod} is an endpoint again"
    )
    asked = mesh.rig.sidecars[pod].admin
    total = r"http\.inbound-(mesh|plain)_8080\.downstream_rq_total"
    until(lambda: sum(asked.stats(total).values()), bool, what=f"{pod} is called")


def _restart(mesh: Encrypted, pod: str, *, marked: bool) -> None:
    sidecar = mesh.rig.sidecars[pod]
    sidecar.process.stop()
    mesh.mark(pod, marked=marked)
    sidecar.process.start()
    sidecar.wait_ready()


def _obeyed(mesh: Encrypted) -> None:
    """Both pods of the service let in what the mode says."""
    namespace = mesh.rig.manifests.find("Namespace", "bookstore")["metadata"]
    said = namespace.get("annotations", {}).get("openservicemesh.io/mtls")
    traffic = mesh.rig.manifests.find("MeshConfig", "osm-mesh-config")["spec"]["traffic"]
    open_ = (said or traffic.get("mtls")) != "strict"
    for pod in (SERVER, SECOND):
        until(partial(_takes_plaintext, mesh, pod), equals(open_), what=f"{pod} obeys")


def _takes_plaintext(mesh: Encrypted, pod: str) -> bool:
    return PLAIN in mesh.chains(pod)


def _raw(mesh: Encrypted) -> None:
    clusters = mesh.rig.sidecar.admin.clusters
    mesh.rig.sidecar.until(
        lambda: "transport_socket_matches" in clusters()[CLUSTER]["cluster"],
        equals(expected=False),
        what="the client calls in plaintext",
    )


STEPS = ("trust", "sign", "drop")


async def test_check_35_no_connection_is_lost_when_the_authority_is_exchanged(
    network: Network, hosts: Hosts, transport: Transport, tmp_path: Path
) -> None:
    """New connections all the time, and one that stays open over all of it."""
    with open_encrypted(network, hosts, transport=transport, folder=tmp_path) as mesh:
        authorities = [encrypting.authority(mesh.authority)]
        handshakes = [mesh.handshakes()]
        with mesh.rig.client.connect(*ECHO) as open_connection:
            async with steady_calls(mesh.rig.client, WEB) as calls:
                for step in STEPS:
                    authorities.append(mesh.rotate(step))
                    await asyncio.to_thread(_taken_up, mesh, authorities[-1])
                    await asyncio.to_thread(_called, calls, calls.opened + 20)
                    # An idle connection may be used again: each step is to see new ones too.
                    assert await asyncio.to_thread(echoed, mesh.rig.client, ECHO)
                    handshakes.append(mesh.handshakes())
            open_connection.sendall(b"still")
            assert b"still" == open_connection.recv(10)

        print(f"{transport.name}: {calls.lost} lost of {calls.opened} while roots were exchanged")
        assert [1, 2, 2, 1] == [len(one.roots) for one in authorities]
        assert authorities[0].certificate not in authorities[-1].roots
        assert all(before < after for before, after in pairwise(handshakes)), handshakes
        assert 0 == calls.lost, calls.outcomes


def _called(calls: Tally, count: int) -> None:
    until(lambda: calls.opened, lambda opened: opened >= count, what=f"{count} calls")


def _taken_up(mesh: Encrypted, authority: Authority) -> None:
    """Both sidecars trust just these roots, and show what this authority has signed."""
    roots = {root.public_bytes(Encoding.PEM).decode().strip() for root in authority.roots}
    signer = LeafSigner.derived(authority, encrypting.TRUST_DOMAIN)
    for pod, account in (("curl", "curl"), (SERVER, "bookstore")):
        who = Account(account, account)
        window = windows(datetime.now(UTC), encrypting.DAY)[slot_of(who)]
        leaf = load_pem_x509_certificate(signer.leaf(who, window).certificate_chain)
        until(partial(_trusts, mesh, pod, roots), bool, what=f"{pod} trusts {len(roots)} roots")
        until(partial(_shows, mesh, pod, leaf.serial_number), bool, what=f"{pod} has its leaf")


def _trusts(mesh: Encrypted, pod: str, roots: set[str]) -> bool:
    secrets = mesh.roots(pod)
    return bool(secrets) and all(one == roots for one in secrets)


def _shows(mesh: Encrypted, pod: str, serial: int) -> bool:
    return serial in {int(one, 16) for one in mesh.leaves(pod)}


def test_check_52_a_certificate_outlives_an_outage_of_half_its_validity(
    network: Network, hosts: Hosts, transport: Transport, tmp_path: Path
) -> None:
    with open_encrypted(
        network, hosts, transport=transport, folder=tmp_path, validity=VALIDITY
    ) as mesh:
        client, leaves = mesh.rig.client, mesh.leaves(SERVER)
        assert echoed(client, ECHO)
        until(lambda: mesh.leaves(SERVER) - leaves, bool, what="a leaf is renewed")
        mesh.rig.towpath.process.stop()
        outage = time.monotonic() + VALIDITY.total_seconds() / 2 - 1
        answers = []
        while time.monotonic() < outage:
            answers.append(echoed(client, ECHO))
        mesh.rig.towpath.start()
        before = mesh.leaves(SERVER)
        until(lambda: mesh.leaves(SERVER) - before, bool, what="a leaf is renewed again")

        print(f"{transport.name}: {answers.count(False)} lost of {len(answers)} in the outage")
        assert [] == [answer for answer in answers if not answer]
        assert echoed(client, ECHO)
