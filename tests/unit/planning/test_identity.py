"""Which pods take part in mutual TLS, as whom, and what namespace and MeshConfig say of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.marked import config, encrypted_mesh, marked_pod, web, with_authority
from support.objects import endpoint_slice, headless, mesh_of, namespace, pod, port, service
from support.sidecar_plan import sidecar_plan
from towpath.model.codes import Code
from towpath.model.identity import MtlsMode
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Kind, ObjectRef, Protocol, SidecarId
from towpath.model.plan import Endpoint, Inbound, InboundPort, Outbound, Request, ServerMtls
from towpath.model.problem import Problem
from towpath.model.workloads import Namespace, Probe
from towpath.planning import endpoints, inbound, problems
from towpath.planning.destinations import encrypted
from towpath.planning.identity import accounts_behind, mode

ONE, TWO = "10.1.0.1", "10.1.0.2"
WEB = Account("shop", "web")
STRICT, DISABLED, PERMISSIVE = MtlsMode.STRICT, MtlsMode.DISABLED, MtlsMode.PERMISSIVE
NAMESPACE = ObjectRef(Kind.NAMESPACE, "", "shop")
CLIENT = marked_pod("curl", account="curl", app="curl")


def _outbound(mesh: Mesh, name: str = "curl") -> Outbound:
    planned = sidecar_plan(mesh, SidecarId(name, "shop"))
    assert planned is not None
    return planned.outbound


def _inbound(mesh: Mesh, name: str = "web-1") -> Inbound:
    planned = sidecar_plan(mesh, SidecarId(name, "shop"))
    assert planned is not None
    return planned.inbound


def _reached(mesh: Mesh, name: str = "curl") -> list[str]:
    mtls = _outbound(mesh, name).mtls
    return [one.name for one in mtls.destinations] if mtls else []


def test_a_marked_endpoint_takes_mutual_tls_and_an_unmarked_one_does_not() -> None:
    mesh = encrypted_mesh(*web(ONE, TWO, marked=(True, False)))

    expected = (Endpoint(ONE, 8080, mtls=True), Endpoint(TWO, 8080))
    assert expected == endpoints(mesh, "shop", "web", 80)


def test_a_marked_client_calls_by_mutual_tls_what_has_a_marked_endpoint() -> None:
    mesh = encrypted_mesh(
        *web(ONE, TWO, marked=(False, True)),
        CLIENT,
        service("plain", ips=["10.96.0.2"]),
        endpoint_slice("plain", "10.1.0.9"),
    )

    mtls = _outbound(mesh).mtls
    assert mtls is not None
    assert (Account("shop", "curl"), ["shop/web|80"]) == (mtls.account, _reached(mesh))


def test_a_client_that_is_not_marked_calls_in_plaintext() -> None:
    mesh = encrypted_mesh(*web(ONE), pod("old", account="curl"))

    assert _outbound(mesh, "old").mtls is None


@pytest.mark.parametrize("marked", [True, False])
def test_without_authority_or_marks_the_plan_is_what_it_was(*, marked: bool) -> None:
    objects = web(ONE, marked=(marked,))
    plain = mesh_of(namespace(), config(), *web(ONE, marked=(False,)), pod("curl", app="curl"))
    without = (
        mesh_of(namespace(), config(STRICT), *objects, CLIENT)
        if marked
        else with_authority(mesh_of(namespace(), config(STRICT), *objects, pod("curl", app="curl")))
    )

    for name in ("web-1", "curl"):
        sidecar = SidecarId(name, "shop")
        assert sidecar_plan(plain, sidecar) == sidecar_plan(without, sidecar)
    assert endpoints(plain, "shop", "web", 80) == endpoints(without, "shop", "web", 80)


def test_a_marked_pod_answers_as_its_account_on_what_services_lead_to() -> None:
    mesh = encrypted_mesh(*web(ONE))

    assert ServerMtls(WEB) == _inbound(mesh).mtls


def test_a_marked_pod_of_no_service_and_one_outside_the_mesh_take_no_mutual_tls() -> None:
    mesh = encrypted_mesh(
        CLIENT, namespace("bank", mesh=None), marked_pod("web-1", in_namespace="bank")
    )

    bank = sidecar_plan(mesh, SidecarId("web-1", "bank"))
    assert bank is not None
    assert (None, None) == (_inbound(mesh, "curl").mtls, bank.inbound.mtls)


@pytest.mark.parametrize(
    ("said", "of_mesh", "expected"),
    [
        (None, PERMISSIVE, PERMISSIVE),
        (None, STRICT, STRICT),
        (PERMISSIVE, STRICT, PERMISSIVE),
        (STRICT, PERMISSIVE, STRICT),
        (DISABLED, STRICT, DISABLED),
        (STRICT, DISABLED, STRICT),
    ],
)
def test_what_a_namespace_says_of_itself_comes_first(
    said: MtlsMode | None, of_mesh: MtlsMode, expected: MtlsMode
) -> None:
    mesh = mesh_of(Namespace("shop", "osm", said), config(of_mesh))

    assert expected == mode(mesh, "shop")


@pytest.mark.parametrize(
    ("of_mesh", "expected"),
    [(DISABLED, PERMISSIVE), (PERMISSIVE, PERMISSIVE), (STRICT, STRICT)],
)
def test_a_namespace_that_says_it_unclearly_is_never_less_than_permissive_nor_than_the_mesh(
    of_mesh: MtlsMode, expected: MtlsMode
) -> None:
    mesh = mesh_of(Namespace("shop", "osm", mtls_unclear=True), config(of_mesh))

    assert expected is mode(mesh, "shop")


def test_disabled_has_nobody_call_by_mutual_tls_and_keeps_taking_it() -> None:
    mesh = encrypted_mesh(*web(ONE), CLIENT, mode=DISABLED)

    assert ([], ServerMtls(WEB)) == (_reached(mesh), _inbound(mesh).mtls)
    assert (Endpoint(ONE, 8080),) == endpoints(mesh, "shop", "web", 80)


def test_strict_lets_in_the_kubelets_requests_and_nothing_else_in_plaintext() -> None:
    probes = (Probe(8080, "GET", "/live"), Probe(8080), Probe(9000, "GET", "/own"))
    pod_ = replace(marked_pod(account="web"), probes=probes)
    mesh = encrypted_mesh(service("web"), pod_, mode=STRICT)

    live = InboundPort(8080, Protocol.HTTP, ("shop/web",), (Request("GET", "/live"),))
    assert ServerMtls(WEB, strict=True, probes=(live,)) == _inbound(mesh).mtls
    assert [8080, 9000] == [one.port for one in _inbound(mesh).ports]


def test_accounts_of_marked_endpoints_may_answer_those_that_end_among_them() -> None:
    mesh = encrypted_mesh(
        service("web"),
        endpoint_slice("web", ONE, TWO, ending=["10.1.0.3"]),
        marked_pod("a", account="a", addresses=[ONE]),
        pod("plain", account="plain", addresses=[TWO]),
        marked_pod("c", account="c", addresses=["10.1.0.3"]),
    )

    expected = (Account("shop", "a"), Account("shop", "c"))
    assert expected == accounts_behind(mesh, "shop", "web")


def test_an_address_of_several_pods_takes_mutual_tls_only_if_all_are_marked() -> None:
    mesh = encrypted_mesh(
        *web(ONE), service("other"), pod("neighbour", app="other", addresses=[ONE]), CLIENT
    )

    assert [] == _reached(mesh)


def _headless(*marks: bool) -> list[Object]:
    pods = [
        marked_pod(f"db-{number}", app="db", marked=mark, addresses=[f"10.1.0.{number}"])
        for number, mark in enumerate(marks, start=1)
    ]
    addresses = [pod_.addresses[0] for pod_ in pods]
    return [headless("db"), endpoint_slice("db", *addresses), *pods]


def test_a_headless_service_is_called_by_mutual_tls_only_if_all_of_it_is_marked() -> None:
    whole, mixed = (
        encrypted_mesh(*_headless(True, True), CLIENT),
        encrypted_mesh(*_headless(True, False), CLIENT),
    )

    assert (["shop/db|8080"], []) == (_reached(whole), _reached(mixed))
    text = (
        "1 of its 2 endpoints are not marked openservicemesh.io/mtls: as clients dial the "
        "endpoints themselves, all of them are called in plaintext; mark all of them"
    )
    ref = ObjectRef(Kind.SERVICE, "shop", "db")
    assert Problem(ref, "spec.clusterIP", Code.PARTLY_MARKED, text) in problems(mixed)
    assert [] == [one for one in problems(whole) if one.object == ref]


def test_a_headless_service_with_two_ports_is_judged_port_by_port() -> None:
    mesh = encrypted_mesh(
        headless("db", port(80, name="a", target=8080), port(81, name="b", target=8081)),
        endpoint_slice("db", ONE, ports={"a": 8080, "b": 8081}),
        marked_pod("db-1", app="db", addresses=[ONE]),
        CLIENT,
    )

    assert ["shop/db|8080", "shop/db|8081"] == [one.name for one in encrypted(mesh)]


def test_strict_with_pods_that_are_not_marked_is_a_problem_of_their_namespace() -> None:
    addresses = [f"10.1.0.{number}" for number in range(1, 7)]
    mesh = encrypted_mesh(*web(*addresses, marked=(True, False)), CLIENT, mode=STRICT)

    text = (
        "mutual TLS is strict here, but Pod web-2, web-3, web-4 and 2 more has no label "
        'openservicemesh.io/mtls: "1", so its sidecar lets in plaintext'
    )
    assert [Problem(NAMESPACE, "", Code.STRICT_IN_PLAINTEXT, text)] == [
        one for one in problems(mesh) if one.object == NAMESPACE
    ]


def test_strict_without_an_authority_is_a_problem() -> None:
    mesh = mesh_of(namespace(), config(STRICT), *web(ONE))

    text = "mutual TLS is strict here, but there is no certificate authority: all is plaintext"
    assert Problem(NAMESPACE, "", Code.STRICT_IN_PLAINTEXT, text) in problems(mesh)


def test_permissive_with_pods_that_are_not_marked_is_none() -> None:
    mesh = encrypted_mesh(*web(ONE, marked=(False,)), CLIENT)

    assert [] == [one for one in problems(mesh) if one.object == NAMESPACE]


@pytest.mark.parametrize("mode_", [PERMISSIVE, STRICT])
def test_a_probe_by_https_of_a_service_port_is_hidden_in_strict_mode_alone(
    mode_: MtlsMode,
) -> None:
    pod_ = replace(marked_pod(account="web"), probes=(Probe(8080, "GET", "/live", tls=True),))
    mesh = encrypted_mesh(service("web"), pod_, mode=mode_)

    hidden = [one for one in problems(mesh) if one.object.kind == Kind.POD]
    assert (mode_ is STRICT) == bool(hidden)


def test_no_mode_changes_what_a_pod_without_mark_lets_in() -> None:
    pod_ = pod("web-1", account="web")
    plans = {
        mode_: inbound(encrypted_mesh(service("web"), pod_, mode=mode_), pod_) for mode_ in MtlsMode
    }

    assert 1 == len(set(plans.values()))
