"""Reach: what a service account may call and where it may go, place by place."""

from __future__ import annotations

from support.objects import (
    egress,
    endpoint_slice,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    route_group,
    service,
    service_account,
    traffic_target,
)
from towpath.answers.reach import ReachedPlace, accounts, reach
from towpath.model.mesh import Object
from towpath.model.names import Account, Protocol

CURL, WEB = Account("shop", "curl"), Account("shop", "web")
SHOP: tuple[Object, ...] = (
    namespace(),
    service("web"),
    endpoint_slice("web", "10.1.0.1"),
    pod("web-1", account="web", addresses=["10.1.0.1"]),
    pod("curl", account="curl", app="curl", addresses=["10.1.0.2"]),
    route_group(),
)


def test_only_what_a_target_grants_is_reached_inside() -> None:
    mesh = mesh_of(mesh_config(permissive=False), *SHOP, traffic_target())

    web = ReachedPlace("shop/web", (80,), ("shop/may",))
    assert ((web,), ()) == (reach(mesh, CURL).services, reach(mesh, WEB).services)


def test_in_permissive_mode_no_service_is_named() -> None:
    mesh = mesh_of(mesh_config(permissive=True), *SHOP, traffic_target())

    assert () == reach(mesh, CURL).services


def test_an_account_offers_the_services_of_its_pods() -> None:
    mesh = mesh_of(mesh_config(), *SHOP)
    there = reach(mesh, WEB)

    assert (1, ("shop/web",)) == (there.pods, there.offers)


def test_ports_and_policies_of_one_place_are_together() -> None:
    mesh = mesh_of(
        mesh_config(policies=True),
        *SHOP,
        egress("a", (80, Protocol.HTTP), sources=[CURL]),
        egress("b", (443, Protocol.HTTPS), sources=[CURL]),
        egress("c", (5432, Protocol.TCP), sources=[CURL], hosts=None, ranges=["192.0.2.0/24"]),
    )

    assert (
        ReachedPlace("192.0.2.0/24", (5432,), ("shop/c",)),
        ReachedPlace("httpbin.org", (80, 443), ("shop/a", "shop/b")),
    ) == reach(mesh, CURL).outside


def test_a_policy_that_allows_nothing_opens_no_place() -> None:
    closed = egress("a", (80, Protocol.HTTP), sources=[CURL], route_groups=["gone"])
    mesh = mesh_of(mesh_config(policies=True), *SHOP, closed)

    assert () == reach(mesh, CURL).outside


def test_without_policies_nothing_is_opened_outside() -> None:
    mesh = mesh_of(mesh_config(policies=False, egress=True), *SHOP, egress(sources=[CURL]))

    assert () == reach(mesh, CURL).outside


def test_accounts_are_those_that_pods_run_as_or_that_are_there() -> None:
    mesh = mesh_of(mesh_config(), *SHOP, service_account("idle"))

    assert (CURL, Account("shop", "idle"), WEB) == accounts(mesh)
