"""What a client without a sidecar may call, and by which names."""

from __future__ import annotations

import pytest

from support.objects import egress, headless, mesh_config, mesh_of, namespace, port, service
from towpath.model.mesh import Object
from towpath.model.names import Account, Protocol
from towpath.model.plan import ProxylessPlan, ProxylessTarget, ProxylessTargets
from towpath.model.workloads import ServicePort
from towpath.planning import proxyless

CURL = Account("shop", "curl")
LONG = "web.shop.svc.cluster.local"
WEB = ProxylessTarget("shop", "web", 80, ("web.shop", LONG, "web.shop:80", f"{LONG}:80"))
GRPC, ADMIN = port(50051, name="grpc"), port(8080, name="http")


def _targets(*objects: Object) -> ProxylessTargets:
    plan = proxyless(mesh_of(namespace(), mesh_config(), *objects), CURL)
    assert "" == plan.refusal
    return plan.targets


def _names(*ports: ServicePort) -> dict[int, list[str]]:
    """The names without the long ones, by port."""
    found = _targets(service("web", *ports))
    return {t.port: [n for n in t.names if "svc" not in n] for t in found}


def test_a_service_with_one_port_is_called_with_and_without_it() -> None:
    assert ProxylessTargets((WEB,)) == _targets(service("web"))


def test_of_several_ports_the_one_named_grpc_is_meant_by_a_name_without_one() -> None:
    assert _names(ADMIN, GRPC) == {8080: ["web.shop:8080"], 50051: ["web.shop", "web.shop:50051"]}


def test_of_several_ports_none_of_which_is_named_grpc_each_is_called_with_its_number() -> None:
    assert _names(ADMIN, port(81, name="x")) == {8080: ["web.shop:8080"], 81: ["web.shop:81"]}


def test_a_headless_service_is_called_by_its_service_port() -> None:
    assert [("shop/db|80", "db.shop")] == [(t.name, t.names[0]) for t in _targets(headless("db"))]


@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.HTTPS, Protocol.TCP])
def test_what_a_sidecar_would_look_into_makes_no_difference(protocol: Protocol) -> None:
    assert ProxylessTargets((WEB,)) == _targets(service("web", port(80, protocol)))


def test_a_port_where_the_server_speaks_first_cannot_speak_grpc() -> None:
    sql = port(3306, Protocol.TCP_SERVER_FIRST, name="sql")

    assert _names(sql, ADMIN) == {8080: ["web.shop", "web.shop:8080"]}


def test_what_policies_allow_outside_the_mesh_is_not_offered() -> None:
    mesh = mesh_of(
        namespace(),
        mesh_config(egress=True, policies=True),
        service("web"),
        egress(sources=(CURL,)),
    )

    assert ProxylessPlan(ProxylessTargets((WEB,))) == proxyless(mesh, CURL)


def test_without_permissive_mode_nothing_is_offered() -> None:
    off = mesh_of(namespace(), mesh_config(permissive=False, egress=True), service("web"))

    _nothing(proxyless(off, CURL), "permissive mode is off")


def test_without_a_mesh_config_nothing_is_offered() -> None:
    _nothing(proxyless(mesh_of(namespace(), service("web")), CURL), "permissive mode is off")


def test_outside_the_mesh_nothing_is_offered_and_nothing_of_it() -> None:
    mesh = mesh_of(
        namespace(),
        namespace("old", mesh=None),
        mesh_config(),
        service("web"),
        service("web", in_namespace="old"),
    )

    _nothing(proxyless(mesh, Account("old", "curl")), "namespace old is not in the mesh")
    assert ProxylessPlan(ProxylessTargets((WEB,))) == proxyless(mesh, CURL)


def _nothing(plan: ProxylessPlan, reason: str) -> None:
    assert ProxylessTargets() == plan.targets
    assert reason in plan.refusal
