"""Retries: whose requests are sent again, for which services, and what is said of the others."""

from __future__ import annotations

from support.decoded import routes
from support.objects import (
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    retry,
    service,
    traffic_split,
)
from towpath.encode.envoy import outbound_routes, retried_routes
from towpath.hub.compose import snapshot
from towpath.model.codes import Code
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, ClientKind, Protocol, SidecarId
from towpath.model.types import CLUSTER, LISTENER, ROUTES
from towpath.planning import outbound, problems

CURL, OTHER = Account("shop", "curl"), Account("shop", "other")
WEB = "shop/web|80"


def test_requests_of_the_source_for_the_service_are_sent_again_and_no_others() -> None:
    mesh = _mesh(retry())

    assert {WEB: 3} == _retries(mesh, CURL)
    assert {} == _retries(mesh, OTHER)
    assert () == problems(mesh)


def test_without_the_switch_nothing_is_sent_again() -> None:
    mesh = _mesh(retry(), on=False)
    (problem,) = problems(mesh)

    assert {} == _retries(mesh, CURL)
    assert Code.RETRY_OFF is problem.code


def test_of_two_for_one_service_the_oldest_holds() -> None:
    older = retry("z", created="2026-01-01T00:00:00Z", retries=1)
    younger = retry("a", ("shop", "web"), ("shop", "api"), created="2026-01-02T00:00:00Z")
    mesh = _mesh(older, younger)
    (problem,) = problems(mesh)

    assert {WEB: 1, "shop/api|80": 3} == _retries(mesh, CURL)
    assert (younger.ref, Code.CONFLICTING_RETRY) == (problem.object, problem.code)


def test_one_that_cannot_be_read_gives_way_to_the_next() -> None:
    closed = retry("a", created="2026-01-01T00:00:00Z", closed=True)
    mesh = _mesh(closed, retry("b", created="2026-01-02T00:00:00Z"))

    assert {WEB: 3} == _retries(mesh, CURL)


def test_a_service_that_is_not_there_or_speaks_no_http_is_said() -> None:
    mesh = _mesh(retry("one", ("shop", "gone"), ("shop", "db")))

    assert {} == _retries(mesh, CURL)
    assert [Code.MISSING_DESTINATION, Code.RETRY_WITHOUT_REQUESTS] == sorted(
        problem.code for problem in problems(mesh)
    )


def test_one_in_a_namespace_that_is_not_in_the_mesh_has_no_effect() -> None:
    mesh = _mesh(retry(in_namespace="away"), namespace("away", mesh=None))
    (problem,) = problems(mesh)

    assert {} == _retries(mesh, Account("away", "curl"))
    assert Code.POLICY_OUTSIDE_MESH is problem.code


def test_an_account_with_retries_shares_all_else_with_the_others() -> None:
    mesh = _mesh(retry(), pod("curl", account="curl"), pod("other", account="other"))
    mine, others = (
        snapshot(mesh, ClientKind.ENVOY, SidecarId(name, "shop")) for name in ("curl", "other")
    )

    assert mine is not None
    assert others is not None
    for type_url in (CLUSTER, LISTENER):
        assert others.sets[type_url] == mine.sets[type_url]
    names = outbound_routes(outbound(mesh, OTHER).destinations)
    assert {f"rds-outbound.{WEB}"} == {
        name for name in names if mine.sets[ROUTES].find(name) != others.sets[ROUTES].find(name)
    }


def test_every_share_of_a_split_is_called_again_and_a_tunnel_is_not() -> None:
    mesh = _mesh(retry(), traffic_split("s", ("api", 1), ("web", 1), root="web"))
    let_out = outbound(mesh, CURL)
    resource = retried_routes(let_out.destinations, let_out.retries)[f"rds-outbound.{WEB}"]
    [host] = routes(resource).virtual_hosts
    plain = outbound_routes(let_out.destinations)[f"rds-outbound.{WEB}"]

    again = {
        route.match.WhichOneof("path_specifier"): route.route.retry_policy.retry_on
        for route in host.routes
    }

    assert {"connect_matcher": "", "prefix": "5xx"} == again
    assert plain != resource


def _mesh(*objects: Object, on: bool = True) -> Mesh:
    return mesh_of(
        namespace(),
        mesh_config(retries=on),
        service("web"),
        service("api", ips=("10.96.0.2",)),
        service("db", port(81, Protocol.TCP), ips=("10.96.0.3",)),
        *objects,
    )


def _retries(mesh: Mesh, account: Account) -> dict[str, int]:
    return {name: policy.retries for name, policy in outbound(mesh, account).retries}
