"""UpstreamTrafficSettings of a service on real Envoys: circuit breakers of its clients, and rate
limits of its own sidecar.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from support.dataplane.clients import Curl, curl
from support.dataplane.hosts import APP_PORT, ECHO_PORT, MIRROR_PORT
from support.dataplane.mesh import WITH_A_SERVICE, Manifests
from support.dataplane.network import POD_ADDRESSES
from support.dataplane.rig import Rig
from support.dataplane.wait import equals

pytestmark = pytest.mark.dataplane

SERVICE, POD = "10.96.0.20", POD_ADDRESSES["bookstore-0"]
PORTS = {
    "http": (80, APP_PORT, "http"),
    "echo": (91, ECHO_PORT, "tcp"),
    "mirror": (92, MIRROR_PORT, "http"),
}
UPGRADE = b"GET / HTTP/1.1\r\nhost: bookstore\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"

_NUMBERS = count()

Document = dict[str, Any]


@pytest.fixture(scope="module")
def shop(open_mesh: Any) -> Rig:
    """A service with a port for requests, one for bytes, and one that upgrades."""

    def with_ports(manifests: Manifests) -> None:
        ports = [
            {"name": name, "port": number, "targetPort": target, "appProtocol": speaks}
            for name, (number, target, speaks) in PORTS.items()
        ]
        manifests.patch("Service", "bookstore", {"spec": {"ports": ports}})
        [slice_] = manifests.all("EndpointSlice")
        targets = [
            {"name": name, "port": target, "protocol": "TCP"}
            for name, (_, target, _) in PORTS.items()
        ]
        manifests.patch("EndpointSlice", slice_["metadata"]["name"], {"ports": targets})

    rig: Rig = open_mesh(WITH_A_SERVICE, prepare=with_ports)
    return rig


def test_requests_beyond_the_limit_get_the_status_that_is_asked_for(shop: Rig) -> None:
    answer = {"responseHeadersToAdd": [{"name": "x-limit", "value": "100%"}]}
    limit_requests(
        shop,
        {"requests": 3, "unit": "hour", **answer},
        {"/few/.*": {"requests": 1, "unit": "hour", "burst": 1, "responseStatusCode": 503}},
    )
    seen = [call(shop, "/").status for _ in range(5)]
    few = [call(shop, "/few/books?page=1").status for _ in range(4)]
    limited = call(shop, "/", "--include")

    assert [200, 200, 200, 429, 429] == seen
    assert [200, 200, 503, 503] == few
    assert "x-limit: 100%" in limited.body


def test_who_is_refused_takes_nothing_of_the_limit(shop: Rig) -> None:
    switch(shop, permissive=False)
    shop.sidecars["bookstore-0"].until(
        lambda: curl(shop.network.control, f"http://{POD}:{APP_PORT}/").status,
        equals(403),
        what="others are refused",
    )
    limit_requests(shop, {"requests": 2, "unit": "hour"}, {}, *granted())
    refused = {curl(shop.network.control, f"http://{POD}:{APP_PORT}/").status for _ in range(5)}
    seen = [call(shop, "/").status for _ in range(3)]
    switch(shop, permissive=True)

    assert ({403}, [200, 200, 429]) == (refused, seen)


def test_connections_beyond_the_limit_are_closed_for_requests_and_for_bytes(shop: Rig) -> None:
    shop.manifests.withdraw()
    server = shop.sidecars["bookstore-0"]
    server.until(lambda: echoes(shop, (POD, ECHO_PORT)), equals(True), what="nothing is limited")
    local = {"tcp": {"connections": 3, "unit": "hour"}}
    set_limits(shop, rateLimit={"local": local})
    # Each port has a bucket of its own: when one is empty, the limit is in force on the others.
    server.until(lambda: echoes(shop, (POD, ECHO_PORT)), equals(False), what="the echo is limited")
    # Straight to the pod, as a client's sidecar keeps connections for the next request.
    outside = shop.network.control
    seen = [curl(outside, f"http://{POD}:{APP_PORT}/").status for _ in range(5)]

    assert [200, 200, 200, 0, 0] == seen


def test_a_circuit_breaker_refuses_requests_until_there_is_room(shop: Rig) -> None:
    set_limits(shop, connectionSettings={"http": {"maxRequests": 1}})
    breaks(shop, "mirror", "max_requests")
    with holding(shop, "mirror", UPGRADE):
        shop.sidecar.until(
            lambda: call(shop, "/", port=PORTS["mirror"][0]).status,
            equals(503),
            what="there is no room",
        )
        # Each port is a cluster of its own.
        assert 200 == call(shop, "/").status
    shop.sidecar.until(
        lambda: call(shop, "/", port=PORTS["mirror"][0]).status,
        equals(200),
        what="there is room again",
    )


def test_a_limit_on_connections_holds_for_bytes_too(shop: Rig) -> None:
    set_limits(shop, connectionSettings={"tcp": {"maxConnections": 1}})
    breaks(shop, "echo", "max_connections")
    with holding(shop, "echo", b"first"):
        shop.sidecar.until(
            lambda: echoes(shop, (SERVICE, PORTS["echo"][0])), equals(False), what="no room"
        )
    shop.sidecar.until(
        lambda: echoes(shop, (SERVICE, PORTS["echo"][0])), equals(True), what="room again"
    )


def test_a_limit_that_cannot_be_read_closes_the_service_and_is_never_none(shop: Rig) -> None:
    set_limits(shop, rateLimit={"local": {"http": {"requests": 0, "unit": "hour"}}})
    shop.sidecar.until(lambda: call(shop, "/").status, equals(503), what="clients refuse")
    outside = shop.network.control
    shop.sidecars["bookstore-0"].until(
        lambda: curl(outside, f"http://{POD}:{APP_PORT}/").status, equals(0), what="it is closed"
    )
    shop.manifests.withdraw()
    shop.sidecar.until(lambda: call(shop, "/").status, equals(200), what="it is open again")


def limit_requests(
    rig: Rig, all_paths: Document, paths: dict[str, Document], *beside: Document
) -> None:
    """Set these limits, and return when they are in force: a path of its own shows it."""
    ready, path_of_its_own = {"requests": 1, "unit": "hour"}, f"/ready-{next(_NUMBERS)}"
    routes = [
        {"path": path, "rateLimit": {"local": limit}}
        for path, limit in {path_of_its_own: ready, **paths}.items()
    ]
    set_limits(rig, *beside, rateLimit={"local": {"http": all_paths}}, httpRoutes=routes)
    rig.sidecar.until(lambda: call(rig, path_of_its_own).status, equals(429), what="it is in force")


def set_limits(rig: Rig, *beside: Document, **spec: Any) -> None:
    setting = {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "UpstreamTrafficSetting",
        "metadata": {"name": "limits", "namespace": "bookstore"},
        "spec": {"host": "bookstore.bookstore.svc.cluster.local", **spec},
    }
    rig.manifests.apply(setting, *beside)


def granted() -> tuple[Document, ...]:
    """The client may make any request."""
    group = {
        "apiVersion": "specs.smi-spec.io/v1alpha4",
        "kind": "HTTPRouteGroup",
        "metadata": {"name": "all", "namespace": "bookstore"},
        "spec": {"matches": [{"name": "all", "pathRegex": ".*"}]},
    }
    target = {
        "apiVersion": "access.smi-spec.io/v1alpha3",
        "kind": "TrafficTarget",
        "metadata": {"name": "buyers", "namespace": "bookstore"},
        "spec": {
            "destination": {"kind": "ServiceAccount", "name": "bookstore"},
            "sources": [{"kind": "ServiceAccount", "name": "curl", "namespace": "curl"}],
            "rules": [{"kind": "HTTPRouteGroup", "name": "all"}],
        },
    }
    return group, target


def switch(rig: Rig, *, permissive: bool) -> None:
    change = {"spec": {"traffic": {"enablePermissiveTrafficPolicyMode": permissive}}}
    rig.manifests.patch("MeshConfig", "osm-mesh-config", change)


def call(rig: Rig, path: str, *options: str, port: int = 80) -> Curl:
    """A call of the service, through the sidecar of the client."""
    return curl(rig.client, f"http://{SERVICE}:{port}{path}", *options)


def breaks(rig: Rig, port: str, limit: str) -> None:
    """Wait until the client's cluster has a limit of 1."""
    name = f"bookstore/bookstore|{PORTS[port][0]}"
    rig.sidecar.until(
        lambda: rig.sidecar.admin.clusters()[name]["cluster"]["circuit_breakers"]["thresholds"][0],
        lambda threshold: threshold[limit] == 1,
        what=f"{name} has {limit} 1",
    )


@contextmanager
def holding(rig: Rig, port: str, request: bytes) -> Iterator[None]:
    """An open connection or upgraded request, which takes one place as long as it lasts."""
    with rig.client.connect(SERVICE, PORTS[port][0]) as held:
        held.sendall(request)
        assert held.recv(100)
        yield


def echoes(rig: Rig, address: tuple[str, int]) -> bool:
    pod = rig.client if address[0] == SERVICE else rig.network.control
    with pod.connect(*address) as connection:
        try:
            connection.sendall(b"x")
            return connection.recv(1) == b"x"
        except ConnectionError:
            return False
