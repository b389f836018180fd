"""The redirect of injected pods, by what happens to connections, beside Open Service Mesh's rules.

Whoever accepts a connection says its name, so an outcome is where the rules have led it.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import product

import pytest

from support.dataplane.demo import ADDRESS, node_and_pod
from support.dataplane.iptables import flush, load
from support.dataplane.netns import Namespace
from support.dataplane.network import ROUTER
from towpath.inject.redirect import SIDECAR_UID, redirect
from towpath.model.injection import RedirectLists

pytestmark = pytest.mark.dataplane

OUTSIDE = ("10.20.0.1", "10.30.0.7", "10.30.0.8", "172.16.0.1")
PORTS = (25, 80, 6379, 7001, 7039)
OWN = (15010, 15901, 15902, 15903, 15904)
SIDECAR = {15001: "outbound", 15003: "inbound"}
APPLICATION = (8080, 9090)
APPLICATION_UID = 1000

LISTS = {
    "none": RedirectLists(),
    "ports": RedirectLists((25, 6379), (9090,)),
    "ranges": RedirectLists(excluded_ranges=("10.20.0.0/16", "10.30.0.7/32")),
    "included": RedirectLists(included_ranges=("10.30.0.0/16",)),
    "both": RedirectLists((80,), (), ("10.30.0.7/32",), ("10.30.0.0/16", "172.16.0.0/12")),
    "interface": RedirectLists(excluded_interfaces=("eth0",)),
    "other": RedirectLists(excluded_interfaces=("net+", "docker0")),
}

_DIAL = """
import json, socket, sys
def dial(target):
    try:
        with socket.create_connection(tuple(target), 2, ("", int(sys.argv[1]))) as opened:
            return opened.recv(64).decode()
    except OSError as error:
        return type(error).__name__
print(json.dumps([dial(one) for one in json.load(sys.stdin)]))
"""


class Names:
    """Listeners that say who they are."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def listen(self, namespace: Namespace, port: int, name: str) -> None:
        listening = namespace.listen("0.0.0.0", port)
        self._sockets.append(listening)
        threading.Thread(target=self._answer, args=(listening, name), daemon=True).start()

    def close(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    @staticmethod
    def _answer(listening: socket.socket, name: str) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = listening.accept()
                with accepted, suppress(OSError):
                    accepted.sendall(name.encode())


@pytest.fixture(scope="module")
def ends() -> Iterator[tuple[Namespace, Namespace]]:
    """The node, which has the outside's addresses too, and the pod, each with its listeners."""
    with ExitStack() as stack:
        node, pod = stack.enter_context(node_and_pod())
        for address in OUTSIDE:
            node.ip("address", "add", f"{address}/32", "dev", "lo")
        names = Names()
        stack.callback(names.close)
        for port in PORTS:
            names.listen(node, port, "outside")
        for port, name in SIDECAR.items():
            names.listen(pod, port, name)
        for port in (*OWN, *APPLICATION):
            names.listen(pod, port, f"port {port}")
        yield node, pod


def outcomes(ends: tuple[Namespace, Namespace], rules: str, *, times: int = 1) -> dict[str, str]:
    """Where each connection ends up, with these rules alone."""
    node, pod = ends
    flush(pod)
    for _ in range(times):
        load(pod, rules)
    within = [("127.0.0.1", 8080), (ADDRESS, 8080), (ROUTER, 80)]
    out = [*product(OUTSIDE, PORTS), *within]
    into = [(ADDRESS, port) for port in (*APPLICATION, *OWN, 7001)]
    return {
        **dial(pod, out, uid=APPLICATION_UID),
        **dial(pod, out, uid=SIDECAR_UID),
        **dial(node, into, uid=0),
    }


def dial(
    namespace: Namespace, targets: list[tuple[str, int]], *, uid: int, source_port: int = 0
) -> dict[str, str]:
    """Where each connection of that user ends up; a *source_port* of 0 is any."""
    user = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    kept = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    command = (*user, *kept, sys.executable, "-S", "-E", "-c", _DIAL, str(source_port))
    done = namespace.run(*command, stdin=json.dumps(targets), within_s=120)
    assert done.returncode == 0, done.stderr
    names = (f"{uid} to {host}:{port}" for host, port in targets)
    return dict(zip(names, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("lists", LISTS.values(), ids=LISTS)
def test_connections_go_where_open_service_mesh_leads_them(
    ends: tuple[Namespace, Namespace], lists: RedirectLists
) -> None:
    ours = outcomes(ends, redirect(lists))

    assert outcomes(ends, as_open_service_mesh(lists)) == ours
    assert {"outside", "inbound", "port 15010"} <= set(ours.values())


def test_the_application_is_caught_and_the_sidecar_is_not(
    ends: tuple[Namespace, Namespace],
) -> None:
    ends_up = outcomes(ends, redirect(RedirectLists()))

    assert "outbound" == ends_up[f"{APPLICATION_UID} to 10.20.0.1:80"]
    assert "outside" == ends_up[f"{SIDECAR_UID} to 10.20.0.1:80"]
    assert "port 8080" == ends_up[f"{APPLICATION_UID} to 127.0.0.1:8080"]
    assert "inbound" == ends_up[f"{SIDECAR_UID} to {ADDRESS}:8080"]
    assert "inbound" == ends_up[f"0 to {ADDRESS}:8080"]
    assert "port 15904" == ends_up[f"0 to {ADDRESS}:15904"]


def test_lists_longer_than_a_rule_take_effect_to_their_end(
    ends: tuple[Namespace, Namespace],
) -> None:
    ports = tuple(range(7000, 7040))
    ends_up = outcomes(ends, redirect(RedirectLists(ports, (*range(9050, 9091),))))

    assert "outside" == ends_up[f"{APPLICATION_UID} to 10.20.0.1:7001"]
    assert "outside" == ends_up[f"{APPLICATION_UID} to 10.20.0.1:7039"]
    assert "outbound" == ends_up[f"{APPLICATION_UID} to 10.20.0.1:80"]
    assert "port 9090" == ends_up[f"0 to {ADDRESS}:9090"]
    assert "inbound" == ends_up[f"0 to {ADDRESS}:8080"]


def test_rules_that_are_loaded_twice_do_what_they_did(ends: tuple[Namespace, Namespace]) -> None:
    rules = redirect(LISTS["both"])

    assert outcomes(ends, rules) == outcomes(ends, rules, times=2)


def test_the_application_does_not_leave_by_what_is_left_of_a_connection_of_the_sidecar(
    ends: tuple[Namespace, Namespace],
) -> None:
    """The kernel asks the redirect's rules for the first packet of a connection alone."""
    node, pod = ends
    flush(pod)
    load(pod, redirect(RedirectLists()))
    late = [("10.40.0.1", 80)]
    unanswered = dial(pod, late, uid=SIDECAR_UID, source_port=40001)
    node.ip("address", "add", "10.40.0.1/32", "dev", "lo")
    left = dial(pod, late, uid=APPLICATION_UID, source_port=40001)
    another = dial(pod, late, uid=APPLICATION_UID, source_port=40002)
    again = dial(pod, late, uid=SIDECAR_UID, source_port=40003)
    node.ip("address", "delete", "10.40.0.1/32", "dev", "lo")

    assert ["TimeoutError"] == list(unanswered.values())
    assert ["ConnectionRefusedError"] == list(left.values())
    assert ["outbound"] == list(another.values())
    assert ["outside"] == list(again.values())


def as_open_service_mesh(lists: RedirectLists) -> str:
    """Its rules in its order: what it inserts comes before what it has appended."""
    to_ports = "-p tcp -m multiport --dports"
    inbound = [
        *(f"-i {name} -j RETURN" for name in lists.excluded_interfaces),
        *_one_rule(to_ports, lists.excluded_inbound_ports),
    ]
    outbound = [
        *(f"-o {name} -j RETURN" for name in lists.excluded_interfaces),
        *(f"-d {cidr} -j RETURN" for cidr in lists.excluded_ranges),
        *_one_rule(to_ports, lists.excluded_outbound_ports),
        *(f"-d {cidr} -j OSM_PROXY_OUT_REDIRECT" for cidr in lists.included_ranges),
        f"-j {'RETURN' if lists.included_ranges else 'OSM_PROXY_OUT_REDIRECT'}",
    ]
    local, user = "127.0.0.1/32", f"--uid-owner {SIDECAR_UID}"
    return "\n".join(
        [
            "*nat",
            *(f":OSM_PROXY_{name} - [0:0]" for name in ("INBOUND", "IN_REDIRECT")),
            *(f":OSM_PROXY_{name} - [0:0]" for name in ("OUTBOUND", "OUT_REDIRECT")),
            "-A OSM_PROXY_IN_REDIRECT -p tcp -j REDIRECT --to-port 15003",
            "-A PREROUTING -p tcp -j OSM_PROXY_INBOUND",
            *(f"-A OSM_PROXY_INBOUND -p tcp --dport {port} -j RETURN" for port in OWN),
            "-A OSM_PROXY_INBOUND -p tcp -j OSM_PROXY_IN_REDIRECT",
            *(f"-I OSM_PROXY_INBOUND {rule}" for rule in inbound),
            "-A OSM_PROXY_OUT_REDIRECT -p tcp -j REDIRECT --to-port 15001",
            "-A OSM_PROXY_OUT_REDIRECT -p tcp --dport 15000 -j ACCEPT",
            "-A OUTPUT -p tcp -j OSM_PROXY_OUTBOUND",
            f"-A OSM_PROXY_OUTBOUND -o lo ! -d {local} -m owner {user} -j OSM_PROXY_IN_REDIRECT",
            f"-A OSM_PROXY_OUTBOUND -o lo -m owner ! {user} -j RETURN",
            f"-A OSM_PROXY_OUTBOUND -m owner {user} -j RETURN",
            f"-A OSM_PROXY_OUTBOUND -d {local} -j RETURN",
            *(f"-A OSM_PROXY_OUTBOUND {rule}" for rule in outbound),
            "COMMIT\n",
        ]
    )


def _one_rule(match: str, ports: tuple[int, ...]) -> list[str]:
    return [f"{match} {','.join(map(str, ports))} -j RETURN"] if ports else []
