"""TrafficTargets on a real Envoy: who comes in, with which requests, and who does not."""

from __future__ import annotations

from typing import Any

import pytest

from support.dataplane.clients import Curl, curl, greeting
from support.dataplane.hosts import APP_BANNER_PORT, APP_PORT, BANNER
from support.dataplane.mesh import WITH_A_SERVICE, Manifests
from support.dataplane.netns import Namespace
from support.dataplane.network import POD_ADDRESSES
from support.dataplane.rig import Rig
from support.dataplane.targets import SERVICE, allow, ask, group, ports_route, target
from support.dataplane.wait import equals

pytestmark = pytest.mark.dataplane

POD = POD_ADDRESSES["bookstore-0"]
THIEF = "bookstore-1"
BANNERS = 91


@pytest.fixture(scope="module")
def shop(open_mesh: Any) -> Rig:
    """The mesh without permissive mode; a second client runs as another account of its own."""

    def closed(manifests: Manifests) -> None:
        # With passthrough on, a client's sidecar does not stand in the way to a pod's own address.
        switch = {"enablePermissiveTrafficPolicyMode": False, "enableEgress": True}
        manifests.patch("MeshConfig", "osm-mesh-config", {"spec": {"traffic": switch}})
        thief = manifests.find("Pod", "bookstore-0")
        thief["metadata"] = {"name": THIEF, "namespace": "curl", "labels": {"app": "thief"}}
        thief["spec"]["serviceAccountName"] = "thief"
        thief["status"] = {"phase": "Running", "podIP": POD_ADDRESSES[THIEF]}
        manifests.write("thief.yaml", thief)
        ports = [
            {"name": "http", "port": 80, "targetPort": APP_PORT},
            {"name": "banner", "port": BANNERS, "targetPort": APP_BANNER_PORT}
            | {"appProtocol": "tcp-server-first"},
        ]
        manifests.patch("Service", "bookstore", {"spec": {"ports": ports}})
        [slice_] = manifests.all("EndpointSlice")
        of_slice = [
            {"name": "http", "port": APP_PORT, "protocol": "TCP"},
            {"name": "banner", "port": APP_BANNER_PORT, "protocol": "TCP"},
        ]
        manifests.patch("EndpointSlice", slice_["metadata"]["name"], {"ports": of_slice})
        [container] = manifests.find("Pod", "bookstore-0")["spec"]["containers"]
        probe = {"readinessProbe": {"httpGet": {"path": "/health", "port": APP_PORT}}}
        change = {"spec": {"containers": [{**container, **probe}]}}
        manifests.patch("Pod", "bookstore-0", change)

    rig: Rig = open_mesh(WITH_A_SERVICE, prepare=closed)
    return rig


def test_without_a_target_nobody_comes_in_but_the_kubelet(shop: Rig) -> None:
    shop.manifests.withdraw()
    node = shop.network.control
    until(shop, node, "/", 403)

    # Nothing is let out, so nobody listens; with passthrough on the client's sidecar refuses.
    shop.manifests.set_egress(on=False)
    shop.sidecar.until(lambda: called(shop.client, "/").exit_code, equals(7), what="exit 7")
    shop.manifests.set_egress(on=True)
    shop.sidecar.until(lambda: called(shop.client, "/").status, equals(403), what="403")
    assert (
        f"403: GET /books?x=1 of {SERVICE} at {SERVICE}:80 is not allowed: no TrafficTarget lets "
        "the service account of this pod call it\n"
    ) == called(shop.client, "/books?x=1").body
    assert b"" == greeting(shop.client, (SERVICE, BANNERS))

    assert 200 == direct(node, "/health").status
    assert b"" == greeting(node, (POD, APP_BANNER_PORT))


def test_what_is_granted_comes_in_and_all_else_is_refused_in_words(shop: Rig) -> None:
    allow(shop, target("buyers", "curl", "read"), group("read", "/books/.*", ["GET"]))
    until(shop, shop.client, "/books/1?page=2", 200, host=SERVICE)
    granted = called(shop.client, "/books/1?page=2").status
    others = [
        called(shop.client, "/").status,
        called(shop.client, "/books").status,
        called(shop.client, "/books/1", "--request", "POST").status,
        direct(shop.network.control, "/books/1").status,
        direct(shop.network.pods[THIEF], "/books/1").status,
    ]
    refused = called(shop.client, "/x")

    assert (200, [403] * 5) == (granted, others)
    assert f"403: GET /x from {POD_ADDRESSES['curl']} is not allowed on port 8080" in refused.body
    assert "buyers" not in refused.body


def test_what_two_targets_grant_adds_up_in_any_order(shop: Rig) -> None:
    both = (
        target("a", "thief", "all"),
        group("all", "/api.*"),
        target("b", "curl", "one"),
        group("one", "/api/v1", ["GET"]),
    )
    for documents in (both, both[::-1]):
        allow(shop, *documents)
        until(shop, shop.client, "/api/v1", 200, host=SERVICE)
        until(shop, shop.network.pods[THIEF], "/api/v1", 200)
        assert 403 == called(shop.client, "/api/v2").status
        assert 200 == direct(shop.network.pods[THIEF], "/api/v2").status


@pytest.mark.parametrize(
    "path",
    [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "/public/..;/x",
        "/public//x",
        "/public/a\\b",
    ],
)
def test_a_path_that_a_server_may_take_for_another_is_refused(shop: Rig, path: str) -> None:
    allow(shop, target("t", "curl", "public"), group("public", "/public/.*"))
    until(shop, shop.client, "/public/x", 200, host=SERVICE)

    assert 403 == called(shop.client, path, "--path-as-is").status
    assert 200 == called(shop.client, "/public/x?y=../%2e", "--path-as-is").status


def test_a_header_gives_nobody_another_address(shop: Rig) -> None:
    allow(shop, target("t", "curl", "all"), group("all", ".*"))
    until(shop, shop.client, "/", 200, host=SERVICE)
    mine = POD_ADDRESSES["curl"]
    forged = direct(shop.network.pods[THIEF], "/", "--header", f"x-forwarded-for: {mine}")

    assert 403 == forged.status


def test_an_address_that_passes_to_another_account_grants_that_one_nothing(shop: Rig) -> None:
    allow(shop, target("t", "thief", "all"), group("all", ".*"))
    until(shop, shop.network.pods[THIEF], "/", 200)
    shop.manifests.patch("Pod", THIEF, {"spec": {"serviceAccountName": "heir"}})
    until(shop, shop.network.pods[THIEF], "/", 403)
    shop.manifests.patch("Pod", THIEF, {"spec": {"serviceAccountName": "thief"}})
    until(shop, shop.network.pods[THIEF], "/", 200)


def test_a_pod_that_calls_itself_needs_a_target_too(shop: Rig) -> None:
    server = shop.network.pods["bookstore-0"]
    allow(shop, target("t", "curl", "all"), group("all", ".*"))
    until(shop, shop.client, "/", 200, host=SERVICE)
    alone = called(server, "/").status
    itself = target("t", "bookstore", "all", source_namespace="bookstore")
    allow(shop, itself, group("all", ".*"))
    until(shop, server, "/", 200, host=SERVICE)

    assert 403 == alone


def test_a_server_that_speaks_first_greets_whom_it_may_alone(shop: Rig) -> None:
    route = ports_route("banner", APP_BANNER_PORT)
    allow(shop, target("t", "curl", "banner", kind="TCPRoute"), route)
    shop.sidecars["bookstore-0"].until(
        lambda: greeting(shop.client, (SERVICE, BANNERS)), equals(BANNER), what="it greets"
    )

    before = connections(shop)
    assert b"" == greeting(shop.network.pods[THIEF], (POD, APP_BANNER_PORT))
    assert b"" == greeting(shop.network.control, (POD, APP_BANNER_PORT))
    # The application does not know that they called.
    assert before == connections(shop) > 0
    assert 403 == called(shop.client, "/").status


def test_a_client_that_comes_or_goes_ends_no_connection_of_another(shop: Rig) -> None:
    """Of bytes, which a change of its chain would end with the drain time."""
    source = target("t", "curl", "banner", kind="TCPRoute")
    allow(shop, source, ports_route("banner", APP_BANNER_PORT))
    server = shop.sidecars["bookstore-0"]
    server.until(
        lambda: greeting(shop.client, (SERVICE, BANNERS)), equals(BANNER), what="it greets"
    )
    thief = shop.network.pods[THIEF]

    def draining() -> int:
        """How many chains end their connections, at the latest with the drain time."""
        return server.admin.stat("listener_manager.total_filter_chains_draining")

    with shop.client.connect(SERVICE, BANNERS) as living:
        assert BANNER == living.recv(100)
        before = draining()
        more = target("u", "thief", "banner", kind="TCPRoute")
        allow(shop, source, more, ports_route("banner", APP_BANNER_PORT))
        server.until(
            lambda: greeting(thief, (POD, APP_BANNER_PORT)), equals(BANNER), what="the other comes"
        )
        come = draining() - before, echoed(living, b"there\n")
        allow(shop, source, ports_route("banner", APP_BANNER_PORT))
        server.until(
            lambda: greeting(thief, (POD, APP_BANNER_PORT)), equals(b""), what="the other is gone"
        )
        gone = draining() - before, echoed(living, b"still\n")

    assert (0, b"there\n") == come
    # That of the one that is gone, and no other.
    assert (1, b"still\n") == gone


def test_a_port_that_no_service_leads_to_is_closed_whatever_targets_grant(shop: Rig) -> None:
    """Also on a connection from before: what it may ask for then is nothing."""
    ports = shop.manifests.find("Service", "bookstore")["spec"]["ports"]
    [banner] = [port for port in ports if port["name"] == "banner"]
    allow(shop, target("t", "thief", "all"), group("all", ".*"))
    thief = shop.network.pods[THIEF]
    until(shop, thief, "/", 200)
    with thief.connect(POD, APP_PORT) as living:
        before = ask(living)
        try:
            shop.manifests.patch("Service", "bookstore", {"spec": {"ports": [banner]}})
            # The kubelet's probe of the port stays, and is all that does.
            until(shop, thief, "/", 403)
            after = ask(living)
        finally:
            shop.manifests.patch("Service", "bookstore", {"spec": {"ports": ports}})
    until(shop, thief, "/", 200)

    assert b"HTTP/1.1 200 OK" == before
    assert b"200" not in after


def test_the_next_request_of_a_live_connection_follows_what_changed(shop: Rig) -> None:
    allow(shop, target("t", "curl", "all"), group("all", ".*"))
    until(shop, shop.client, "/", 200, host=SERVICE)
    # Straight to the pod, as one who has no sidecar, from the address that the target grants.
    with shop.network.pods[THIEF].connect(POD, APP_PORT) as living:
        before = ask(living)
        allow(shop, target("t", "thief", "all"), group("all", ".*"))
        until(shop, shop.network.pods[THIEF], "/", 200)
        granted = ask(living)
        allow(shop, target("t", "curl", "all"), group("all", ".*"))
        until(shop, shop.network.pods[THIEF], "/", 403)
        revoked = ask(living)

    assert [b"HTTP/1.1 403 Forbidden", b"HTTP/1.1 200 OK", b"HTTP/1.1 403 Forbidden"] == [
        before,
        granted,
        revoked,
    ]


def test_grpc_clients_are_told_in_their_own_way_at_either_end(shop: Rig) -> None:
    call = ("--include", "--request", "POST", "--header", "content-type: application/grpc")
    shop.manifests.withdraw()
    shop.sidecar.until(
        lambda: called(shop.client, "/a.B/C", *call).body,
        lambda text: "grpc-status: 7" in text and "no TrafficTarget lets" in text,
        what="the client's sidecar refuses",
    )
    allow(shop, target("t", "curl", "read"), group("read", "/x", ["GET"]))
    until(shop, shop.client, "/x", 200, host=SERVICE)
    refused = called(shop.client, "/a.B/C", *call).body

    assert "HTTP/1.1 200" in refused
    assert "grpc-status: 7" in refused
    assert "is not allowed on port 8080" in refused


def test_an_applications_own_403_passes_untouched(shop: Rig) -> None:
    allow(shop, target("t", "curl", "all"), group("all", ".*"))
    until(shop, shop.client, "/", 200, host=SERVICE)
    own = called(shop.client, "/own-403")

    assert (403, "not you\n") == (own.status, own.body)


def test_passthrough_never_carries_what_is_refused_in_the_mesh(shop: Rig) -> None:
    shop.manifests.withdraw()
    shop.sidecar.until(
        lambda: called(shop.client, "/").body,
        lambda text: "no TrafficTarget lets" in text,
        what="the client's sidecar refuses",
    )

    assert 403 == direct(shop.client, "/").status


def test_of_pods_of_several_accounts_a_client_is_sent_those_that_grant_it_something(
    shop: Rig,
) -> None:
    other = "10.10.0.77"  # where nobody answers
    pod = shop.manifests.find("Pod", "bookstore-0")
    pod["metadata"] = {**pod["metadata"], "name": "bookstore-77"}
    pod["spec"]["serviceAccountName"] = "bookstore-v2"
    pod["status"] = {"phase": "Running", "podIP": other}
    shop.manifests.write("other-account.yaml", pod)
    shop.manifests.add_endpoint("bookstore", name="other-account", address=other)
    first = target("first", "curl", "all")
    second = target("second", "curl", "all")
    second["spec"]["destination"]["name"] = "bookstore-v2"

    def until_sent(*addresses: str) -> None:
        shop.sidecar.until(
            lambda: shop.sidecar.admin.hosts("bookstore/bookstore|80"),
            equals([f"{address}:{APP_PORT}" for address in addresses]),
            what=f"it balances over {addresses}",
        )

    try:
        allow(shop, first, group("all", ".*"))
        until_sent(POD)
        statuses = {called(shop.client, "/").status for _ in range(10)}
        allow(shop, first, second, group("all", ".*"))
        until_sent(POD, other)
        allow(shop, second, group("all", ".*"))
        until_sent(other)
    finally:
        shop.manifests.remove_endpoint("other-account")
        shop.manifests.remove("other-account.yaml")

    assert {200} == statuses


def echoed(connection: Any, line: bytes) -> bytes:
    """What comes back of a line on a connection that stays open."""
    connection.sendall(line)
    return bytes(connection.recv(100))


def connections(rig: Rig) -> int:
    """How many the server's sidecar has made to the application that speaks first."""
    name = f"cluster.inbound|{APP_BANNER_PORT}|local.upstream_cx_total"
    return rig.sidecars["bookstore-0"].admin.stat(name)


def called(pod: Namespace, path: str, *options: str) -> Curl:
    """A call of the service, through the sidecar of the client."""
    return curl(pod, f"http://{SERVICE}{path}", *options)


def direct(pod: Namespace, path: str, *options: str) -> Curl:
    """A call of the server's pod itself, as of one whose sidecar does not stand in the way."""
    return curl(pod, f"http://{POD}:{APP_PORT}{path}", *options)


def until(rig: Rig, pod: Namespace, path: str, status: int, *, host: str = "") -> None:
    url = f"http://{host or f'{POD}:{APP_PORT}'}{path}"
    rig.sidecars["bookstore-0"].until(
        lambda: curl(pod, url).status, equals(status), what=f"{url} gives {status}"
    )
