"""A fleet of real Envoys for as long as one likes, by mutual TLS: changes, restarts of the control
plane, new certificates; no update is lost, and none is sent twice: `make soak`.

The gate does not collect this file, as its name is no `test_*.py`. TOWPATH_TEST_SECONDS says how
long it takes.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from support.certificates import Certificates
from support.dataplane.hosts import APP_PORT, Hosts
from support.dataplane.mesh import WITH_A_SERVICE, Manifests
from support.dataplane.network import POD_ADDRESSES, ROUTER, Network
from support.dataplane.rig import Rig, open_rig
from support.dataplane.wait import equals, until
from towpath.encode.envoy.bootstrap import Transport

pytestmark = [pytest.mark.dataplane, pytest.mark.timeout(0)]

SECONDS = float(os.environ.get("TOWPATH_TEST_SECONDS", "3600"))
RESTART_EVERY, SWAP_EVERY = 5, 3
"""Rounds; as neither is a multiple of the other, each meets the other at every distance."""

CLUSTER = "bookstore/bookstore|80"
FIRST, SECOND = (f"{POD_ADDRESSES[pod]}:{APP_PORT}" for pod in ("bookstore-0", "bookstore-1"))


@pytest.mark.parametrize("transport", [Transport.DELTA], indirect=True)
def test_no_update_is_lost_or_repeated(
    network: Network, hosts: Hosts, transport: Transport, tmp_path: Path
) -> None:
    manifests = Manifests(WITH_A_SERVICE, tmp_path / "manifests")
    manifests.add_pod("bookstore-0", name="bookstore-1", address=POD_ADDRESSES["bookstore-1"])
    certificates = Certificates(tmp_path)
    with open_rig(
        network, hosts, manifests, transport=transport, folder=tmp_path, certificates=certificates
    ) as rig:
        counts = soak(rig, certificates)

    print("\n" + ", ".join(f"{name}: {number:,}" for name, number in counts.items()))
    assert (0, 0) == (counts["lost"], counts["repeated"])


def soak(rig: Rig, certificates: Certificates) -> Counter[str]:
    """What was done, and which updates went wrong: "lost" are those that a sidecar did not have in
    time, "repeated" the responses beyond one for each sidecar and change.
    """
    counts = Counter(sidecars=len(rig.sidecars), lost=0, repeated=0)
    connected(rig)
    before = rig.towpath.responses()
    ends = time.monotonic() + SECONDS
    for number in count(1):
        if time.monotonic() > ends:
            return counts
        if number % SWAP_EVERY == 0:
            certificates.server(addresses=(ROUTER,))
            counts["certificates"] += 1
        if number % RESTART_EVERY == 0:
            rig.towpath.process.kill()
            rig.towpath.start()
            connected(rig)
            before = {}
            counts["restarts"] += 1
        change(rig, second=number % 2 == 1)
        counts["changes"] += 1
        counts["lost"] += lost(rig, [FIRST, SECOND] if number % 2 == 1 else [FIRST])
        after = rig.towpath.responses()
        expected = Counter(eds=len(rig.sidecars))
        for kind, total in after.items():
            sent = total - before.get(kind, 0)
            counts["updates"] += sent
            counts["repeated"] += max(sent - expected[kind], 0)
        before = after
    raise AssertionError


def change(rig: Rig, *, second: bool) -> None:
    if second:
        address = POD_ADDRESSES["bookstore-1"]
        rig.manifests.add_endpoint("bookstore", name="second", address=address)
    else:
        rig.manifests.remove_endpoint("second")


def lost(rig: Rig, addresses: list[str]) -> int:
    """How many sidecars do not come to have these endpoints."""
    missing = 0
    for name, sidecar in rig.sidecars.items():
        try:
            sidecar.until(
                partial(sidecar.admin.hosts, CLUSTER), equals(addresses), what=f"{name} has it"
            )
        except AssertionError as error:
            print(error)
            missing += 1
    return missing


def connected(rig: Rig) -> None:
    """Return when the control plane has a stream of every sidecar."""
    until(
        partial(rig.towpath.metric, "towpath_connected_sidecars", kind="envoy"),
        equals(1.0 * len(rig.sidecars)),
        what="every sidecar is connected",
        within_s=60,
        context=rig.towpath.process.tail,
    )
