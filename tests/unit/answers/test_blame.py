"""Which objects a rejected resource was made from, by its name and who rejected it."""

from __future__ import annotations

import pytest

from support.objects import egress, mesh_config, mesh_of, namespace, pod
from towpath.answers.blame import rejection_problems
from towpath.hub.compose import snapshot
from towpath.model.codes import Code
from towpath.model.egress import HTTPRouteGroup, RequestMatch
from towpath.model.mesh import Mesh
from towpath.model.names import Account, ClientKind, Protocol, SidecarId
from towpath.model.problem import Problem
from towpath.model.snapshot import Resource
from towpath.model.types import CLUSTER, LISTENER, ROUTES
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import Quarantine
from towpath.settings import RolloutSettings

MESH = mesh_of(
    namespace(),
    mesh_config(policies=True),
    pod("web-1"),
    egress("plain"),
    egress("secret", (443, Protocol.HTTPS)),
    egress("beside", (443, Protocol.HTTPS), hosts=("beside.test",)),
    egress("bytes", (25, Protocol.TCP), hosts=None),
    egress("other", sources=(Account("shop", "other"),)),
)


@pytest.mark.parametrize(
    ("type_url", "name", "blamed"),
    [
        (ROUTES, "rds-egress.80", {"Egress shop/plain"}),
        (CLUSTER, "httpbin.org:443", {"Egress shop/secret"}),
        (CLUSTER, "25", {"Egress shop/bytes"}),
        (
            LISTENER,
            "outbound-listener",
            {f"Egress shop/{name}" for name in ("plain", "secret", "beside", "bytes")},
        ),
        (ROUTES, "rds-outbound.shop/web|80", {"Service shop/web"}),
        (LISTENER, "inbound-listener", {"ServiceAccount shop/default"}),
        (ROUTES, "rds-inbound.8080", {"ServiceAccount shop/default"}),
    ],
)
def test_only_what_a_resource_is_made_from_is_blamed(
    type_url: str, name: str, blamed: set[str]
) -> None:
    quarantine = Quarantine(RolloutSettings(), clock=lambda: 0.0)
    build = ClientBuild(ClientKind.ENVOY, "envoy", "1.40.0")
    client = quarantine.client("web-1.shop", build, Account("shop", "default"))
    resource = Resource.of(type_url, name, b"")
    client.rejected(type_url, {name: resource}, {}, f"{name}: no")

    found = tuple(rejection_problems(MESH, quarantine))

    assert blamed == {str(problem.object) for problem in found}
    assert all("web-1.shop" in problem.message for problem in found)
    assert {Code.REJECTED_BY_SIDECAR} >= {problem.code for problem in found}


@pytest.mark.parametrize(
    ("said", "blamed"),
    [
        ("Error.VirtualHosts[1]: … caused by VirtualHostValidationError.Routes[2]: no", {"b"}),
        ("VirtualHosts[0]: embedded message failed validation", {"a"}),
        ("regex '/of-b' RE2 program size of 200 > max program size of 100", {"b"}),
        ("VirtualHosts[9].Routes[9]: no", {"a", "b"}),
        ("no", {"a", "b"}),
    ],
)
def test_of_the_policies_of_a_port_those_that_the_words_point_at_are_blamed(
    said: str, blamed: set[str]
) -> None:
    policies = [egress(n, hosts=(f"{n}.test",), route_groups=(n,)) for n in ("a", "b")]
    groups = [HTTPRouteGroup("shop", n, (RequestMatch(f"/of-{n}"),)) for n in ("a", "b")]
    mesh = mesh_of(namespace(), mesh_config(policies=True), pod("web-1"), *policies, *groups)
    held = snapshot(mesh, ClientKind.ENVOY, SidecarId(pod="web-1", namespace="shop"))
    assert held is not None
    resource = held.of(ROUTES)["rds-egress.80"]
    found = _blamed(mesh, resource, "x" * 5000 + said)

    assert {problem.object.name for problem in found} == blamed
    assert all(said in problem.message for problem in found)


def _blamed(mesh: Mesh, resource: Resource, said: str) -> tuple[Problem, ...]:
    quarantine = Quarantine(RolloutSettings(), clock=lambda: 0.0)
    build = ClientBuild(ClientKind.ENVOY, "envoy", "1.40.0")
    client = quarantine.client("web-1.shop", build, Account("shop", "default"))
    client.rejected(resource.type_url, {resource.name: resource}, {}, said)
    return tuple(rejection_problems(mesh, quarantine))
