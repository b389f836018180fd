"""Policies together with passthrough: a policy governs what it names, and nothing else."""

from __future__ import annotations

import pytest

from support.dataplane.clients import curl
from support.dataplane.hosts import ECHO_PORT
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import CUT, egress, route_group, until_curl
from support.dataplane.rig import Rig

pytestmark = pytest.mark.dataplane

HTTPBIN, ELSEWHERE = OUTSIDE[0], OUTSIDE[5]
POLICIES = (
    egress("paths", (80, "http"), hosts=["httpbin.org"], groups=["g"]),
    egress("there", (443, "https"), hosts=["httpbin.org"], ranges=[f"{HTTPBIN}/32"]),
    route_group("g", "/get", "/echo"),
)


@pytest.fixture
def both(outside: Rig) -> Rig:
    outside.manifests.apply(*POLICIES)
    outside.manifests.set_egress(on=True)
    until_curl(outside, "http://httpbin.org/get", status=200)
    until_curl(outside, f"http://{ELSEWHERE}:80/", status=200)
    return outside


def test_a_host_that_no_policy_names_passes_on_the_same_port(both: Rig) -> None:
    done = curl(both.client, "http://openservicemesh.io/anything", "--include")

    assert done.status == 200
    assert f"x-served-at: {OUTSIDE[1]}:80" in done.body


def test_it_goes_to_the_address_that_was_dialled(both: Rig) -> None:
    there = ("--resolve", f"unknown.test:80:{ELSEWHERE}")
    done = curl(both.client, "http://unknown.test/", "--include", *there)

    assert f"x-served-at: {ELSEWHERE}:80" in done.body


def test_a_named_hosts_other_paths_are_refused_and_the_body_names_the_policy(both: Rig) -> None:
    done = curl(both.client, "http://httpbin.org/other", "--request", "PUT")

    assert done.status == 404
    assert "PUT http://httpbin.org/other is not allowed out of the mesh" in done.body
    assert "curl/paths" in done.body


def test_a_named_server_name_elsewhere_is_refused_and_logged(both: Rig) -> None:
    trusting = ("--cacert", str(both.hosts.ca))
    assert curl(both.client, "https://httpbin.org/", *trusting).status == 200
    away = ("--resolve", f"httpbin.org:443:{ELSEWHERE}")

    assert curl(both.client, "https://httpbin.org/", *away, *trusting).exit_code in CUT
    both.sidecar.until(
        lambda: {line["filter_chain_name"] for line in both.sidecar.access_log()},
        lambda chains: "egress-refused.443|httpbin.org" in chains,
        what="the refusal names its chain",
    )


def test_other_server_names_pass(both: Rig) -> None:
    done = curl(both.client, "https://openservicemesh.io/", "--cacert", str(both.hosts.ca))

    assert done.status == 200


def test_ports_of_which_no_policy_speaks_pass(both: Rig) -> None:
    with both.client.connect(ELSEWHERE, ECHO_PORT) as connection:
        connection.sendall(b"hello\n")
        assert connection.recv(100) == b"hello\n"


def test_bytes_that_are_no_http_pass_on_an_http_port(both: Rig) -> None:
    with both.client.connect(ELSEWHERE, 80) as connection:
        connection.sendall(b"\x00\x01binary\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_http_1_0_and_a_host_without_a_name_pass(both: Rig) -> None:
    assert curl(both.client, f"http://{ELSEWHERE}/", "--http1.0").status == 200


def test_connect_passes_to_the_proxy_that_was_dialled(both: Rig) -> None:
    with both.client.connect(ELSEWHERE, 80) as connection:
        connection.sendall(b"CONNECT far.test:443 HTTP/1.1\r\nhost: far.test:443\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_a_request_that_passes_is_not_added_to(both: Rig) -> None:
    there = ("--resolve", f"unknown.test:80:{ELSEWHERE}")
    done = curl(both.client, "http://unknown.test/echo", *there)
    names = {line.partition(":")[0] for line in done.body.splitlines()[1:] if line}

    assert names == {"Host", "User-Agent", "Accept"}
