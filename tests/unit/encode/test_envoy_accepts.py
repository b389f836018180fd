"""What is encoded is what a real Envoy accepts: one run of its validation over many plans."""

from __future__ import annotations

from pathlib import Path

from support.envoy_validation import add, empty_bootstrap, validate
from support.objects import (
    egress,
    endpoint_slice,
    headless,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    service,
    setting,
)
from towpath.hub.compose import snapshot
from towpath.model.egress import METHODS, HTTPRouteGroup, RequestMatch
from towpath.model.mesh import Object
from towpath.model.names import ClientKind, Protocol, SidecarId
from towpath.model.snapshot import Snapshot

SERVER_FIRST = Protocol.TCP_SERVER_FIRST
WEB = service("web", port(80), port(443, Protocol.HTTPS, target=8443), port(9000, Protocol.TCP))
SQL = service("sql", port(3306, SERVER_FIRST), selector={"app": "web"}, ips=("10.96.0.2",))
SMTP = service("smtp", port(25, SERVER_FIRST, target=25), ips=("10.96.0.3", "10.96.0.4"))
PEERS = (headless("peers", port(80)), endpoint_slice("peers", "10.0.0.1", "10.0.0.2"))
SAME_PODS = (headless("same", port(80)), endpoint_slice("same", "10.0.0.2", "10.0.0.3"))

LARGEST = "/" + "a" * 995
"""The longest plain path that `route_groups` lets through."""

REQUESTS = HTTPRouteGroup(
    "shop",
    "requests",
    (
        RequestMatch(LARGEST, METHODS[1:], (("host", "a" * 996), ("x-!#$%&'*+.^_`|~", ".*"))),
        RequestMatch(),
    ),
)
NAMES = ("a.test", "*.a.test", "*.test", "10.1.2.3")
RANGES = ("0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/32")
EVERY_PORT = tuple((number, protocol) for number in (80, 443) for protocol in Protocol)
POLICIES = (
    REQUESTS,
    setting("limits"),
    egress("named", *EVERY_PORT, hosts=NAMES, route_groups=("requests",), setting="limits"),
    egress("ranged", *EVERY_PORT, hosts=NAMES[:2], ranges=RANGES, route_groups=("requests",)),
    egress("other", (81, Protocol.HTTP), (444, Protocol.HTTPS), hosts=NAMES, ranges=RANGES[1:]),
    egress("mail", (25, SERVER_FIRST), hosts=None, ranges=RANGES[1:]),
)

CASES: dict[str, tuple[Object, ...]] = {
    "nothing": (mesh_config(permissive=False),),
    "passthrough alone": (mesh_config(permissive=False, egress=True),),
    "one service": (mesh_config(), WEB),
    "one service and passthrough": (mesh_config(egress=True), WEB),
    "one server-first port": (mesh_config(), WEB, SQL),
    "several server-first ports": (mesh_config(egress=True), WEB, SQL, SMTP),
    "headless": (mesh_config(), *PEERS, *SAME_PODS),
    "everything": (mesh_config(egress=True), WEB, SQL, SMTP, *PEERS, *SAME_PODS),
    "a contested address": (
        mesh_config(),
        WEB,
        service("zoo", port(80), port(81), ips=("10.96.0.1", "10.96.0.9")),
    ),
    "policies": (mesh_config(policies=True), *POLICIES),
    "policies and passthrough": (mesh_config(policies=True, egress=True), WEB, *POLICIES),
    "a listener's own ports": (
        mesh_config(),
        service("odd", port(15001, target=15001), port(15003, Protocol.TCP, target=15003)),
    ),
}


def test_every_listener_cluster_and_route_is_accepted_by_envoy(tmp_path: Path) -> None:
    bootstrap = empty_bootstrap()
    for number, objects in enumerate(CASES.values()):
        for who in ("web-1", "curl"):
            add(bootstrap, f"{number}.{who}", _snapshot(who, *objects))

    code, said = validate(bootstrap, tmp_path)

    assert code == 0, said
    assert len(bootstrap.static_resources.listeners) > 50


def test_a_mistake_would_be_found_by_this_validation(tmp_path: Path) -> None:
    """Trap 1: a listener without any chain is refused."""
    bootstrap = empty_bootstrap()
    add(bootstrap, "case", _snapshot("curl", *CASES["one service"]))
    bootstrap.static_resources.listeners[0].ClearField("filter_chains")

    code, said = validate(bootstrap, tmp_path)

    assert code != 0
    assert "no filter chains specified" in said


def _snapshot(who: str, *objects: Object) -> Snapshot:
    mesh = mesh_of(namespace(), pod("web-1"), pod("curl", app="curl"), *objects)
    held = snapshot(mesh, ClientKind.ENVOY, SidecarId(pod=who, namespace="shop"))
    assert held is not None
    return held
