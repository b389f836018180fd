"""What a sidecar lets out: the switches, and who is in the mesh."""

from __future__ import annotations

import pytest

from support.objects import mesh_config, mesh_of, namespace, service
from towpath.model.names import Account, Protocol
from towpath.model.plan import Destination, Destinations, Outbound, Refused
from towpath.planning import outbound

CURL = Account("shop", "curl")
WEB = Destination("shop", "web", 80, Protocol.HTTP, ("10.96.0.1",), direct=False)
NOTHING = Outbound(destinations=Destinations(), passthrough=False)


@pytest.mark.parametrize("egress", [True, False])
def test_permissive_mode_lets_every_in_mesh_service_out(*, egress: bool) -> None:
    mesh = mesh_of(namespace(), service("web"), mesh_config(permissive=True, egress=egress))

    assert Outbound(Destinations((WEB,)), passthrough=egress) == outbound(mesh, CURL)


@pytest.mark.parametrize("egress", [True, False])
def test_without_permissive_mode_no_in_mesh_service_is_let_out(*, egress: bool) -> None:
    mesh = mesh_of(namespace(), service("web"), mesh_config(permissive=False, egress=egress))
    refused = (Refused(80, http=True, addresses=("10.96.0.1",)),) if egress else ()

    expected = Outbound(Destinations(), passthrough=egress, refused=refused)
    assert expected == outbound(mesh, CURL)


def test_without_a_mesh_config_every_switch_is_off() -> None:
    assert NOTHING == outbound(mesh_of(namespace(), service("web")), CURL)


def test_a_mesh_config_in_another_namespace_is_not_ours() -> None:
    elsewhere = mesh_config(egress=True, in_namespace="default")

    assert NOTHING == outbound(mesh_of(namespace(), service("web"), elsewhere), CURL)


@pytest.mark.parametrize("mesh_name", [None, "another"])
def test_a_namespace_that_is_not_monitored_lets_nothing_out(mesh_name: str | None) -> None:
    mesh = mesh_of(namespace(mesh=mesh_name), service("web"), mesh_config(egress=True))

    assert NOTHING == outbound(mesh, CURL)


def test_services_of_a_namespace_that_is_not_monitored_are_no_destinations() -> None:
    mesh = mesh_of(
        namespace("shop"),
        namespace("legacy", mesh=None),
        service("web"),
        service("old", in_namespace="legacy", ips=("10.96.0.2",)),
        service("lost", in_namespace="nowhere", ips=("10.96.0.3",)),
        mesh_config(),
    )

    assert Destinations((WEB,)) == outbound(mesh, CURL).destinations


def test_services_of_other_monitored_namespaces_are_destinations() -> None:
    mesh = mesh_of(
        namespace("shop"),
        namespace("bank"),
        service("web"),
        service("vault", in_namespace="bank", ips=("10.96.0.2",)),
        mesh_config(),
    )

    names = [d.name for d in outbound(mesh, CURL).destinations]
    assert ["bank/vault|80", "shop/web|80"] == names


def test_the_plan_of_a_pod_that_does_not_exist_is_its_accounts() -> None:
    """The plan belongs to the account: pods come and go without a change of it."""
    mesh = mesh_of(namespace(), service("web"), mesh_config())

    assert outbound(mesh, CURL) == outbound(mesh, Account("shop", "another"))
