"""An allowed name means that name: hosts, server names, wildcards, and what is forged."""

from __future__ import annotations

import socket

import pytest

from support.dataplane.clients import curl
from support.dataplane.hosts import BANNER, BANNER_PORT, OTHER_HTTP_PORT
from support.dataplane.network import OUTSIDE, POD_ADDRESSES
from support.dataplane.policy import CUT, Document, egress, until_curl
from support.dataplane.rig import Rig

pytestmark = pytest.mark.dataplane

GIVEN_UP = "listener.0.0.0.0_15001.downstream_pre_cx_timeout"
HTTPBIN, ELSEWHERE = OUTSIDE[0], OUTSIDE[5]


def _served_at(head: str) -> str:
    """The address that answered, from the response's head."""
    (line,) = (text for text in head.splitlines() if text.startswith("x-served-at: "))
    return line.removeprefix("x-served-at: ").strip()


def _resolve(name: str, port: int, address: str) -> tuple[str, str]:
    return ("--resolve", f"{name}:{port}:{address}")


def test_a_forged_host_reaches_the_named_host_and_no_other_address(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (80, "http"), hosts=["httpbin.org"]))
    forged = _resolve("httpbin.org", 80, ELSEWHERE)
    done = until_curl(outside, "http://httpbin.org/", "--include", *forged, status=200)

    assert _served_at(done.body) == f"{HTTPBIN}:80"


def test_a_forged_server_name_reaches_the_named_host_and_no_other_address(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (443, "https"), hosts=["httpbin.org"]))
    forged = (*_resolve("httpbin.org", 443, ELSEWHERE), "--cacert", str(outside.hosts.ca))
    done = until_curl(outside, "https://httpbin.org/", "--include", *forged, status=200)

    assert _served_at(done.body) == f"{HTTPBIN}:443"


def test_another_server_name_on_the_port_is_refused_and_logged(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (443, "https"), hosts=["httpbin.org"]))
    trusting = ("--cacert", str(outside.hosts.ca))
    until_curl(outside, "https://httpbin.org/", *trusting, status=200)
    refused = curl(outside.client, "https://openservicemesh.io/", *trusting)

    assert refused.exit_code in CUT
    outside.sidecar.until(
        lambda: [
            line
            for line in outside.sidecar.access_log()
            if line["requested_server_name"] == "openservicemesh.io"
            and line["response_flags"] == "NR"
        ],
        bool,
        what="the refusal is in the access log",
    )


def test_another_host_is_refused_with_a_body_that_says_so(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (80, "http"), hosts=["httpbin.org"]))
    until_curl(outside, "http://httpbin.org/", status=200)
    refused = curl(outside.client, "http://openservicemesh.io/x?y=1")

    assert refused.status == 404
    assert "GET http://openservicemesh.io/x?y=1 is not allowed" in refused.body


def test_tls_on_an_http_port_is_refused_whatever_it_offers(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (80, "http"), hosts=["httpbin.org"]))
    until_curl(outside, "http://httpbin.org/", status=200)
    refused = curl(outside.client, "https://httpbin.org:80/", "--insecure")

    assert refused.exit_code in CUT
    assert refused.status == 0


def test_wildcards_take_names_below_and_not_the_apex(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (80, "http"), (443, "https"), hosts=["*.wild.test"]))
    forged = _resolve("a.wild.test", 80, ELSEWHERE)
    done = until_curl(outside, "http://a.wild.test/", "--include", *forged, status=200)
    assert _served_at(done.body) == f"{OUTSIDE[2]}:80"

    trusting = ("--cacert", str(outside.hosts.ca))
    elsewhere = (*_resolve("a.wild.test", 443, ELSEWHERE), "--insecure")
    done = until_curl(outside, "https://a.wild.test/", "--include", *elsewhere, status=200)
    assert _served_at(done.body) == f"{OUTSIDE[2]}:443"

    assert curl(outside.client, "http://wild.test/").status == 404
    assert curl(outside.client, "https://wild.test/", *trusting).exit_code in CUT


@pytest.mark.parametrize("host", ["a.wild.test", f"a.wild.test:{OTHER_HTTP_PORT}"])
def test_a_wildcard_host_is_dialled_on_the_port_of_the_policy(outside: Rig, host: str) -> None:
    outside.manifests.apply(egress("p", (OTHER_HTTP_PORT, "http"), hosts=["*.wild.test"]))
    url = f"http://{OUTSIDE[2]}:{OTHER_HTTP_PORT}/"
    done = until_curl(outside, url, "--include", "--header", f"host: {host}", status=200)

    assert _served_at(done.body) == f"{OUTSIDE[2]}:{OTHER_HTTP_PORT}"


def test_a_host_header_with_another_port_reaches_nothing(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (OTHER_HTTP_PORT, "http"), hosts=["*.wild.test"]))
    url = f"http://{OUTSIDE[2]}:{OTHER_HTTP_PORT}/"
    until_curl(outside, url, "--header", "host: a.wild.test", status=200)

    assert curl(outside.client, url, "--header", "host: a.wild.test:80").status == 404


def test_ranges_restrict_every_protocol(outside: Rig) -> None:
    ports = ((80, "http"), (443, "https"), (BANNER_PORT, "tcp"))
    policy = egress("p", *ports, hosts=["httpbin.org"], ranges=[f"{HTTPBIN}/32"])
    outside.manifests.apply(policy)
    trusting = ("--cacert", str(outside.hosts.ca))
    until_curl(outside, "http://httpbin.org/", status=200)
    until_curl(outside, "https://httpbin.org/", *trusting, status=200)

    away = _resolve("httpbin.org", 80, ELSEWHERE)
    assert curl(outside.client, "http://httpbin.org/", *away).exit_code in CUT
    away = _resolve("httpbin.org", 443, ELSEWHERE)
    assert curl(outside.client, "https://httpbin.org/", *away, *trusting).exit_code in CUT
    with outside.client.connect(HTTPBIN, BANNER_PORT) as allowed:
        assert allowed.recv(100) == BANNER
    with outside.client.connect(ELSEWHERE, BANNER_PORT) as refused:
        assert _ended(refused)


def test_overlapping_ranges_and_names_add_up(outside: Rig) -> None:
    outside.manifests.apply(
        egress("wide", (443, "https"), hosts=["httpbin.org"]),
        egress("narrow", (443, "https"), hosts=["openservicemesh.io"], ranges=["10.20.0.0/28"]),
        egress("one", (443, "https"), hosts=["wild.test"], ranges=[f"{OUTSIDE[3]}/32"]),
    )
    trusting = ("--cacert", str(outside.hosts.ca))
    for name in ("httpbin.org", "openservicemesh.io", "wild.test"):
        at = _resolve(name, 443, OUTSIDE[3])
        until_curl(outside, f"https://{name}/", *at, *trusting, status=200)
    beyond = _resolve("openservicemesh.io", 443, OUTSIDE[7])
    assert curl(outside.client, "https://openservicemesh.io/", *beyond, *trusting).exit_code in CUT


@pytest.mark.parametrize("beside", [(), (egress("tls", (BANNER_PORT, "https"), hosts=["a.test"]),)])
def test_a_server_that_speaks_first_waits_for_nobody(
    outside: Rig, beside: tuple[Document, ...]
) -> None:
    outside.manifests.apply(egress("mail", (BANNER_PORT, "tcp-server-first")), *beside)
    outside.sidecar.until(
        lambda: "outbound-listener" in outside.sidecar.admin.listeners(), bool, what="it listens"
    )
    with outside.client.connect(HTTPBIN, BANNER_PORT) as connection:
        assert connection.recv(100) == BANNER
    assert outside.sidecar.admin.stat(GIVEN_UP) == 0


def test_another_service_account_gains_nothing(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (80, "http"), hosts=["httpbin.org"], account="other"))
    outside.manifests.write("marker.yaml", egress("marker", (81, "http"), hosts=["marker.test"]))
    outside.sidecar.until(
        lambda: "outbound-listener" in outside.sidecar.admin.listeners(), bool, what="it listens"
    )
    try:
        assert curl(outside.client, "http://httpbin.org/").exit_code in CUT
    finally:
        outside.manifests.remove("marker.yaml")


def test_a_policy_in_another_namespace_of_the_mesh_works(outside: Rig) -> None:
    monitored = {"openservicemesh.io/monitored-by": "osm"}
    outside.manifests.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "policies", "labels": monitored},
        },
        egress("p", (80, "http"), hosts=["httpbin.org"], namespace="policies"),
    )
    until_curl(outside, "http://httpbin.org/", status=200)


def test_the_sidecar_itself_is_never_dialled(outside: Rig) -> None:
    outside.manifests.apply(egress("p", (15001, "tcp"), (80, "tcp")))
    until_curl(outside, f"http://{HTTPBIN}/", status=200)
    with outside.client.connect(POD_ADDRESSES["curl"], 15001) as connection:
        assert _ended(connection)


def _ended(connection: socket.socket) -> bool:
    """True if the connection was closed or reset without a byte."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
