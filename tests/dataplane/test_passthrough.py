"""The egress switch, in a mesh that has nothing but the client."""

from __future__ import annotations

import pytest

from support.dataplane.clients import curl
from support.dataplane.envoy import DRAIN_S
from support.dataplane.hosts import BANNER, BANNER_PORT, ECHO_PORT
from support.dataplane.network import OUTSIDE, POD_ADDRESSES
from support.dataplane.rig import Rig
from support.dataplane.wait import equals

pytestmark = pytest.mark.dataplane

PASSTHROUGH_CHAIN = "outbound-egress-filter-chain"
PASSTHROUGH_CONNECTIONS = "cluster.passthrough-outbound.upstream_cx_total"
URL = f"http://{OUTSIDE[0]}/"
HEARD_S = 10.0
"""Below the 15 s for which Envoy, unless told otherwise, waits for a client's first bytes."""


def test_the_switch_is_off_on_and_off_again_as_the_manual_has_it(alone: Rig) -> None:
    alone.switch_egress(on=False)
    off = curl(alone.client, URL)
    alone.switch_egress(on=True)
    on = curl(alone.client, URL)
    alone.switch_egress(on=False)
    off_again = curl(alone.client, URL)

    assert [off.exit_code, on.exit_code, off_again.exit_code] == [7, 0, 7]
    assert (on.status, on.body) == (200, "outside\n")


def test_with_egress_off_the_pod_has_no_outbound_listener(alone: Rig) -> None:
    alone.switch_egress(on=False)

    assert "outbound-listener" not in alone.sidecar.admin.listeners()


def test_with_egress_on_https_is_encrypted_from_end_to_end(alone: Rig) -> None:
    alone.switch_egress(on=True)
    address = f"httpbin.org:443:{OUTSIDE[1]}"

    done = curl(
        alone.client,
        *("https://httpbin.org:443", "--head", "--resolve", address),
        *("--cacert", str(alone.hosts.ca)),
    )

    assert (done.exit_code, done.status) == (0, 200), done.error


def test_with_egress_on_any_port_of_any_address_is_reached(alone: Rig) -> None:
    alone.switch_egress(on=True)
    heard = []
    for host in OUTSIDE:
        with alone.client.connect(host, ECHO_PORT) as connection:
            connection.sendall(b"hello\n")
            heard.append(connection.recv(100))

    assert heard == [b"hello\n"] * len(OUTSIDE)


def test_what_passes_through_is_logged_with_the_chain_that_let_it_out(alone: Rig) -> None:
    alone.switch_egress(on=True)
    host = OUTSIDE[2]
    curl(alone.client, f"http://{host}/")

    logged = alone.sidecar.until(
        lambda: [
            line["filter_chain_name"]
            for line in alone.sidecar.access_log()
            if line["downstream_local_address"] == f"{host}:80"
        ],
        bool,
        what=f"a connection to {host} is logged",
    )
    assert logged == [PASSTHROUGH_CHAIN]


def test_trap_1_switching_egress_off_is_never_rejected(alone: Rig) -> None:
    for _ in range(5):
        alone.switch_egress(on=True)
        alone.switch_egress(on=False)

    admin = alone.sidecar.admin
    rejected = admin.stats(r"(listener_manager\.lds|cluster_manager\.cds)\.update_rejected")
    assert rejected == {
        "cluster_manager.cds.update_rejected": 0,
        "listener_manager.lds.update_rejected": 0,
    }


@pytest.mark.parametrize("own_address", ["127.0.0.1", POD_ADDRESSES["curl"]])
def test_trap_2_a_call_to_the_listeners_own_port_does_not_loop(
    alone: Rig, own_address: str
) -> None:
    alone.switch_egress(on=True)
    admin = alone.sidecar.admin
    before = admin.stat(PASSTHROUGH_CONNECTIONS)

    done = curl(alone.client, f"http://{own_address}:15001/")

    assert done.exit_code in {52, 56}
    assert admin.stat(PASSTHROUGH_CONNECTIONS) == before


def test_trap_3_after_a_change_no_listener_and_no_cluster_stays_warming(alone: Rig) -> None:
    for on in (True, False, True):
        alone.switch_egress(on=on)

    warming = alone.sidecar.admin.stats(
        r"listener_manager\.total_listeners_warming|cluster_manager\.warming_clusters"
    )
    assert set(warming.values()) == {0}


def test_trap_5_a_server_that_speaks_first_is_heard(alone: Rig) -> None:
    alone.switch_egress(on=True)

    with alone.client.connect(OUTSIDE[0], BANNER_PORT, within_s=HEARD_S) as connection:
        banner = connection.recv(100)
        connection.sendall(b"QUIT\r\n")
        answer = connection.recv(100)

    assert (banner, answer) == (BANNER, b"QUIT\r\n")


@pytest.mark.parametrize("first_bytes", [b"A", b"GGGG", b"\x16\x03"])
def test_trap_5_a_client_that_begins_with_a_few_bytes_is_not_cut(
    alone: Rig, first_bytes: bytes
) -> None:
    alone.switch_egress(on=True)

    with alone.client.connect(OUTSIDE[0], ECHO_PORT) as connection:
        connection.sendall(first_bytes)
        heard = connection.recv(100)

    assert heard == first_bytes


def test_trap_7_an_established_connection_lives_on_until_the_drain_time(alone: Rig) -> None:
    alone.switch_egress(on=True)
    with alone.client.connect(OUTSIDE[0], ECHO_PORT, within_s=DRAIN_S + 30.0) as connection:
        connection.sendall(b"before\n")
        assert connection.recv(100) == b"before\n"

        alone.switch_egress(on=False)
        connection.sendall(b"after\n")
        heard_after = connection.recv(100)
        rest = connection.recv(100)

    assert (heard_after, rest) == (b"after\n", b"")


def test_a_restarted_sidecar_obeys_the_switch_as_it_stands(alone: Rig) -> None:
    alone.switch_egress(on=True)
    alone.sidecar.process.kill()
    refused = curl(alone.client, URL).exit_code
    alone.sidecar.process.start()
    alone.sidecar.wait_ready()

    seen = alone.sidecar.until(
        lambda: curl(alone.client, URL).exit_code, equals(0), what="egress is on again"
    )
    assert (refused, seen) == (7, 0)
