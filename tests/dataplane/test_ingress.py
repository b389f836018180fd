"""IngressBackends on a real Envoy: who comes in from outside the mesh, and who does not."""

from __future__ import annotations

from typing import Any

import pytest

from support.dataplane.clients import curl
from support.dataplane.hosts import APP_PORT, MIRROR_PORT
from support.dataplane.ingress import Document, backend, gateway, switches
from support.dataplane.mesh import WITH_A_SERVICE, Manifests
from support.dataplane.netns import Namespace
from support.dataplane.network import POD_ADDRESSES, ROUTER
from support.dataplane.rig import Rig
from support.dataplane.wait import equals

pytestmark = pytest.mark.dataplane

SERVICE, POD = "10.96.0.20", POD_ADDRESSES["bookstore-0"]
GATEWAY = {"kind": "Service", "name": "gateway", "namespace": "ingress"}
EVERYWHERE = {"kind": "IPRange", "name": "0.0.0.0/0"}


@pytest.fixture(scope="module")
def shop(open_mesh: Any) -> Rig:
    """The mesh without permissive mode, and a gateway outside it, which has no sidecar."""

    def closed(manifests: Manifests) -> None:
        switches(manifests)
        ports = [
            {"name": "http", "port": 80, "targetPort": APP_PORT},
            {"name": "other", "port": 92, "targetPort": MIRROR_PORT, "appProtocol": "http"},
        ]
        manifests.patch("Service", "bookstore", {"spec": {"ports": ports}})

    rig: Rig = open_mesh(WITH_A_SERVICE, prepare=closed)
    rig.manifests.write("gateway.yaml", *gateway())
    return rig


def test_the_endpoints_of_a_service_come_in_and_nobody_else(shop: Rig) -> None:
    shop.manifests.apply(backend(GATEWAY))
    until(shop, shop.network.control, 200)
    answers = [
        call(shop.client),
        call(shop.client, "--header", f"x-forwarded-for: {ROUTER}"),
        call(shop.network.control, port=MIRROR_PORT),
    ]
    endpoints = {"endpoints": [{"addresses": ["10.10.0.77"]}]}
    shop.manifests.patch("EndpointSlice", "gateway", endpoints)
    until(shop, shop.network.control, 403)
    shop.manifests.write("gateway.yaml", *gateway())
    until(shop, shop.network.control, 200)

    # The client's own sidecar stands in its way: it is told so in words, or cut.
    assert 200 not in answers
    assert 403 == answers[-1]


def test_a_range_of_addresses_comes_in_and_no_other(shop: Rig) -> None:
    for name, status in (("10.10.0.0/24", 200), ("10.10.0.2/32", 403), (f"{ROUTER}/32", 200)):
        shop.manifests.apply(backend({"kind": "IPRange", "name": name}))
        until(shop, shop.network.control, status)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"sources": []}, id="no source"),
        pytest.param({"sources": [{"kind": "IPRange", "name": "10.10.0.1/33"}]}, id="bad range"),
        pytest.param({"sources": [{**GATEWAY, "name": "nobody"}]}, id="no endpoint"),
        pytest.param({"sources": [{"kind": "Everybody", "name": "x"}]}, id="bad kind"),
        pytest.param({"matches": [{"kind": "HTTPRouteGroup", "name": "x"}]}, id="matches"),
        pytest.param(
            {
                "backends": [
                    {"name": "bookstore", "port": {"number": APP_PORT, "protocol": "https"}}
                ]
            },
            id="https without a principal",
        ),
        pytest.param(
            {"sources": [EVERYWHERE, {"kind": "AuthenticatedPrincipal", "name": "a.b"}]},
            id="a principal in plaintext",
        ),
        pytest.param(
            {"backends": [{"name": "other", "port": {"number": APP_PORT, "protocol": "http"}}]},
            id="another service",
        ),
    ],
)
def test_what_cannot_be_read_lets_nobody_in(shop: Rig, document: Document) -> None:
    shop.manifests.apply(backend(EVERYWHERE))
    until(shop, shop.network.control, 200)
    whole = backend(EVERYWHERE)
    shop.manifests.apply({**whole, "spec": {**whole["spec"], **document}})
    until(shop, shop.network.control, 403)


def test_with_the_switch_off_nobody_comes_in(shop: Rig) -> None:
    shop.manifests.apply(backend(EVERYWHERE))
    until(shop, shop.network.control, 200)
    switches(shop.manifests, ingress=False)
    until(shop, shop.network.control, 403)
    switches(shop.manifests)
    until(shop, shop.network.control, 200)


def call(caller: Namespace, *options: str, port: int = APP_PORT) -> int:
    return curl(caller, f"http://{POD}:{port}/", *options).status


def until(rig: Rig, caller: Namespace, status: int) -> None:
    rig.sidecars["bookstore-0"].until(
        lambda: call(caller), equals(status), what=f"the pod answers {status}"
    )
