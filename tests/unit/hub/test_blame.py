"""Which objects a rejected resource was made from, by its name and who rejected it."""

from __future__ import annotations

import pytest

from support.objects import egress, mesh_config, mesh_of, namespace, pod
from towpath.hub.blame import rejection_problems
from towpath.hub.quarantine import Quarantine
from towpath.hub.standing import Flavour
from towpath.model.names import Account, ClientKind, Protocol
from towpath.model.snapshot import Resource
from towpath.model.types import CLUSTER, LISTENER, ROUTES

MESH = mesh_of(
    namespace(),
    mesh_config(policies=True),
    pod("web-1"),
    egress("plain"),
    egress("secret", (443, Protocol.HTTPS)),
    egress("other", sources=(Account("shop", "other"),)),
)


@pytest.mark.parametrize(
    ("type_url", "name", "blamed"),
    [
        (ROUTES, "rds-egress.80", {"Egress shop/plain"}),
        (CLUSTER, "httpbin.org:443", {"Egress shop/secret"}),
        (LISTENER, "outbound-listener", {"Egress shop/plain", "Egress shop/secret"}),
        (ROUTES, "rds-outbound.shop/web|80", {"Service shop/web"}),
        (CLUSTER, "shop/web|80|local", {"Service shop/web"}),
        (LISTENER, "inbound-listener", {"ServiceAccount shop/default"}),
        (ROUTES, "rds-inbound.8080", {"ServiceAccount shop/default"}),
    ],
)
def test_only_what_a_resource_is_made_from_is_blamed(
    type_url: str, name: str, blamed: set[str]
) -> None:
    quarantine = Quarantine(clock=lambda: 0.0)
    flavour = Flavour(ClientKind.ENVOY, "envoy", "1.40.0")
    standing = quarantine.standing("web-1.shop", flavour, Account("shop", "default"))
    resource = Resource.of(type_url, name, b"bad")
    standing.rejected(type_url, "1", {name: resource}, {}, f"{name}: no")

    found = tuple(rejection_problems(MESH, quarantine))

    assert blamed == {str(problem.object) for problem in found}
    assert all("web-1.shop" in problem.message for problem in found)
