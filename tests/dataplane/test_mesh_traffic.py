"""In-mesh traffic, and the egress switch beside it, in a mesh with a service."""

from __future__ import annotations

import socket
import time

import pytest

from support.dataplane.clients import Address, curl, greeted_after, greeting, steady_calls
from support.dataplane.envoy import DRAIN_S, Envoy
from support.dataplane.hosts import APP_BANNER_PORT, BANNER
from support.dataplane.network import OUTSIDE, POD_ADDRESSES
from support.dataplane.rig import Rig
from support.dataplane.wait import equals

pytestmark = pytest.mark.dataplane

TOGGLES = 40
SERVICE: Address = ("10.96.0.20", 80)
NO_CHAIN = "listener.0.0.0.0_15001.no_filter_chain_match"
URL = f"http://{SERVICE[0]}/"


def test_a_call_to_a_service_address_passes_through_both_sidecars(bookstore: Rig) -> None:
    bookstore.switch_egress(on=False)
    server = bookstore.sidecars["bookstore-0"]
    in_mesh = "cluster.bookstore/bookstore|80.upstream_rq_total"
    local = "cluster.inbound|8080|local.upstream_rq_total"
    before = bookstore.sidecar.admin.stat(in_mesh), server.admin.stat(local)

    done = curl(bookstore.client, URL)

    assert (done.exit_code, done.status, done.body) == (0, 200, "bookstore-0\n")
    after = bookstore.sidecar.admin.stat(in_mesh), server.admin.stat(local)
    assert after == (before[0] + 1, before[1] + 1)


def test_a_pod_reaches_itself_by_its_services_address(bookstore: Rig) -> None:
    done = curl(bookstore.network.pods["bookstore-0"], URL)

    assert (done.status, done.body) == (200, "bookstore-0\n")


def test_a_connection_lives_on_when_egress_goes_off_beyond_the_drain_time(bookstore: Rig) -> None:
    bookstore.switch_egress(on=True)
    with bookstore.client.connect(*SERVICE) as connection:
        answers = {ask(connection)}
        bookstore.switch_egress(on=False)
        drained = time.monotonic() + DRAIN_S + 1.0
        while time.monotonic() < drained:
            answers.add(ask(connection))

    assert answers == {b"HTTP/1.1 200 OK"}


def test_refused_http_matches_no_filter_chain(bookstore: Rig) -> None:
    bookstore.switch_egress(on=False)
    before = bookstore.sidecar.admin.stat(NO_CHAIN)
    host = OUTSIDE[3]

    done = curl(bookstore.client, f"http://{host}/")

    # The end comes before the request is read or after: with a reset then, or without one.
    assert done.exit_code in (52, 56)
    assert done.status == 0
    assert bookstore.sidecar.admin.stat(NO_CHAIN) == before + 1
    assert logged(bookstore.sidecar, f"{host}:80") == [("NR", None, None)]


def test_refused_tls_matches_no_filter_chain(bookstore: Rig) -> None:
    bookstore.switch_egress(on=False)
    before = bookstore.sidecar.admin.stat(NO_CHAIN)
    host = OUTSIDE[4]

    done = curl(
        bookstore.client,
        *("https://httpbin.org:443", "--resolve", f"httpbin.org:443:{host}"),
        *("--cacert", str(bookstore.hosts.ca)),
    )

    assert (done.exit_code, done.status) == (35, 0)
    assert bookstore.sidecar.admin.stat(NO_CHAIN) == before + 1
    assert logged(bookstore.sidecar, f"{host}:443") == [("NR", None, None)]


def test_the_services_address_on_another_port_is_refused(bookstore: Rig) -> None:
    bookstore.switch_egress(on=False)

    done = curl(bookstore.client, f"http://{SERVICE[0]}:81/")

    assert done.status == 0
    assert logged(bookstore.sidecar, f"{SERVICE[0]}:81") == [("NR", None, None)]


async def test_no_in_mesh_connection_is_lost_in_forty_toggles(bookstore: Rig) -> None:
    await bookstore.toggle(on=False)
    async with steady_calls(bookstore.client, SERVICE) as calls:
        for toggle in range(TOGGLES):
            await bookstore.toggle(on=toggle % 2 == 0)

    assert calls.lost == 0, f"of {calls.opened}: {calls.outcomes}"
    assert calls.opened >= TOGGLES


def test_trap_1_switching_egress_off_is_never_rejected(bookstore: Rig) -> None:
    for _ in range(5):
        bookstore.switch_egress(on=True)
        bookstore.switch_egress(on=False)

    assert bookstore.sidecar.admin.stat("listener_manager.lds.update_rejected") == 0


@pytest.mark.parametrize("own_address", ["127.0.0.1", POD_ADDRESSES["curl"]])
def test_trap_2_a_call_to_the_listeners_own_port_does_not_loop(
    bookstore: Rig, own_address: str
) -> None:
    opened = "cluster.passthrough-outbound.upstream_cx_total"
    for on in (True, False):
        bookstore.switch_egress(on=on)
        before = bookstore.sidecar.admin.stat(opened)

        done = curl(bookstore.client, f"http://{own_address}:15001/")

        assert done.exit_code in {52, 56}
        assert bookstore.sidecar.admin.stat(opened) == before


@pytest.mark.parametrize("protocol", ["tcp-server-first", "tcp", "mysql", "example.com/x"])
def test_trap_5_an_in_mesh_server_that_speaks_first_is_heard_at_once(
    bookstore: Rig, protocol: str
) -> None:
    address = ("10.96.0.25", 25)
    bookstore.switch_egress(on=False)
    bookstore.manifests.add_service(
        "bookstore",
        name="mail",
        address=address[0],
        port=address[1],
        target_port=APP_BANNER_PORT,
        protocol=protocol,
    )

    bookstore.sidecar.until(
        lambda: greeting(bookstore.client, address), equals(BANNER), what="a banner"
    )
    print(f"in the mesh, {protocol}: {greeted_after(bookstore.client, address):.1f} ms")
    bookstore.manifests.remove_service("mail")
    bookstore.sidecar.until(
        lambda: greeting(bookstore.client, address), equals(b""), what="the service is gone"
    )

    waits = r"listener\..*_1500[13]\.downstream_pre_cx_timeout"
    given_up = [sum(s.admin.stats(waits).values()) for s in bookstore.sidecars.values()]
    assert given_up == [0] * len(bookstore.sidecars)


def test_prometheus_reads_the_sidecars_statistics_and_nothing_else_of_its_admin(
    bookstore: Rig,
) -> None:
    sidecar = f"http://{POD_ADDRESSES['curl']}:15010"

    statistics = curl(bookstore.network.control, f"{sidecar}/stats/prometheus")
    dump = curl(bookstore.network.control, f"{sidecar}/config_dump")

    assert (statistics.status, dump.status) == (200, 404)
    assert "envoy_listener_manager_lds_update_success" in statistics.body


def logged(sidecar: Envoy, destination: str) -> list[tuple[str | None, str | None, str | None]]:
    """Flags, chain and server name of the logged connections to *destination*, at least one."""
    return sidecar.until(
        lambda: [
            (line["response_flags"], line["filter_chain_name"], line["requested_server_name"])
            for line in sidecar.access_log()
            if line["downstream_local_address"] == destination
        ],
        bool,
        what=f"a connection to {destination} is logged",
    )


def ask(connection: socket.socket) -> bytes:
    """Send one request on a connection that stays open; returns the answer's first line."""
    connection.sendall(b"GET / HTTP/1.1\r\nhost: bookstore\r\n\r\n")
    answer = b""
    while not answer.endswith(b"bookstore-0\n"):
        more = connection.recv(4096)
        if not more:
            return b"closed"
        answer += more
    return answer.partition(b"\r\n")[0]


def test_connect_goes_to_the_service(bookstore: Rig) -> None:
    with bookstore.client.connect(*SERVICE) as connection:
        connection.sendall(b"CONNECT bookstore:80 HTTP/1.1\r\nhost: bookstore:80\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
