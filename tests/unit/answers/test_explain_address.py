"""Explain by the address of a caller: a pod's is its account's, any other shows nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
import yaml

from support.marked import marked_pod, with_authority
from support.objects import (
    endpoint_slice,
    headless,
    ingress_backend,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    route_group,
    service,
    setting,
    tcp_route,
    traffic_split,
    traffic_target,
)
from support.suggestions import with_manifests
from towpath.answers.explain import Explanation, parse_attempt, read_question
from towpath.answers.explain_address import explain_address
from towpath.model.identity import MtlsMode
from towpath.model.inmesh import RouteReference
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Kind, Protocol
from towpath.model.workloads import Probe

CURL, OUTSIDE = "10.0.0.2", "192.0.2.7"
TARGET = (traffic_target(), route_group("get", "/get", methods=("GET",)))
BEYOND = ingress_backend(ranges=("192.0.2.0/24",))


def _mesh(
    *objects: Object,
    permissive: bool = False,
    mode: MtlsMode = MtlsMode.PERMISSIVE,
    protocol: Protocol = Protocol.HTTP,
) -> Mesh:
    switches = replace(mesh_config(permissive=permissive, ingress=True), mtls=mode)
    mesh = mesh_of(
        namespace(),
        switches,
        service("web", port(80, protocol)),
        endpoint_slice("web", "10.0.0.1"),
        marked_pod("web-1", account="web", addresses=("10.0.0.1",)),
        pod("curl", account="curl", app="curl", addresses=(CURL,)),
        *objects,
    )
    return with_authority(mesh)


def _explain(
    mesh: Mesh, target: str = "http://web.shop/get", *, address: str = OUTSIDE, method: str = "GET"
) -> Explanation:
    """What is said of it; what it suggests is applied, and must help."""
    attempt = parse_attempt(target, method=method)
    answer = explain_address(mesh, IPv4Address(address), attempt, ())
    if answer.suggestion:
        again = with_manifests(mesh, answer.suggestion)
        assert explain_address(again, IPv4Address(address), attempt, ()).decision.allowed
    return answer


def _why(answer: Explanation) -> Sequence[str]:
    return answer.decision.reasons


def test_an_address_of_a_pod_is_its_accounts() -> None:
    mesh = _mesh(*TARGET)
    granted, refused = _explain(mesh, address=CURL), _explain(mesh, "http://web/x", address=CURL)

    assert "10.0.0.2 is Pod shop/curl, of service account shop/curl" == _why(granted)[0]
    assert granted.decision.allowed
    assert not refused.decision.allowed
    assert ["TrafficTarget", "HTTPRouteGroup"] == [
        one["kind"] for one in yaml.safe_load_all(refused.suggestion)
    ]


@pytest.mark.parametrize(
    ("stranger", "words"),
    [
        (pod("x", account="x", app="x", addresses=(OUTSIDE,)), "of service account shop/x"),
        (
            replace(pod("x", account="curl", app="x", addresses=(OUTSIDE,)), host_network=True),
            "is the address of a node",
        ),
        (
            pod("x", in_namespace="bank", account="x", addresses=(OUTSIDE,)),
            "namespace bank is not part of mesh osm",
        ),
        (namespace("bank", mesh=None), "is not the address of a pod"),
    ],
)
def test_it_is_said_whose_address_it_is(stranger: Object, words: str) -> None:
    answer = _explain(_mesh(*TARGET, stranger))

    assert words in _why(answer)[0]
    assert not answer.decision.allowed


def test_an_address_of_two_accounts_is_let_in_by_a_target_for_both() -> None:
    shared = pod("x", account="other", app="x", addresses=(CURL,))
    both = traffic_target(sources=(Account("shop", "curl"), Account("shop", "other")))
    alone, together = (
        _explain(_mesh(target, TARGET[1], shared), address=CURL) for target in (TARGET[0], both)
    )

    assert "several service accounts" in _why(alone)[0]
    assert not alone.decision.allowed
    assert together.decision.allowed
    other = _explain(_mesh(both, TARGET[1], shared), "http://web.shop/x", address=CURL)
    assert not other.decision.allowed


def test_permissive_mode_lets_in_everybody_until_strict_refuses_plaintext() -> None:
    open_, strict = (
        _explain(_mesh(permissive=True, mode=mode))
        for mode in (MtlsMode.PERMISSIVE, MtlsMode.STRICT)
    )

    assert open_.decision.allowed
    assert "permissive mode is on" in _why(open_)[-1]
    assert not strict.decision.allowed
    assert "mutual TLS alone" in _why(strict)[-1]
    assert "IngressBackend" in strict.suggestion


@pytest.mark.parametrize("mode", [MtlsMode.PERMISSIVE, MtlsMode.STRICT])
def test_whom_an_ingress_backend_lets_in_may_ask_anything(mode: MtlsMode) -> None:
    mesh = _mesh(*TARGET, BEYOND, mode=mode)

    assert _explain(mesh, "http://web.shop/x", method="PUT").decision.allowed
    assert ("shop/outside",) == _explain(mesh).decision.policies
    assert not _explain(mesh, address="198.51.100.1").decision.allowed


@pytest.mark.parametrize("mode", [MtlsMode.PERMISSIVE, MtlsMode.STRICT])
def test_the_kubelets_requests_come_in_from_anywhere(mode: MtlsMode) -> None:
    probed = replace(
        marked_pod("web-1", account="web", addresses=("10.0.0.1",)),
        probes=(Probe(8080, "GET", "/health"), Probe(9999, "GET", "/ready")),
    )
    mesh = _mesh(probed, mode=mode)

    assert _explain(mesh, "http://10.0.0.1:8080/health?x").decision.allowed
    assert _explain(mesh, "http://10.0.0.1:9999/ready").decision.allowed
    for refused in (
        _explain(mesh, "http://10.0.0.1:8080/x"),
        _explain(mesh, "http://10.0.0.1:8080/health", method="PUT"),
        _explain(mesh, "http://10.0.0.1:9999/health"),
    ):
        assert not refused.decision.allowed


def test_a_port_that_no_service_leads_to_is_closed() -> None:
    answer = _explain(_mesh(permissive=True), "10.0.0.1:7")

    assert not answer.decision.allowed
    assert "is closed: no Service leads there" in _why(answer)[-1]


def test_a_port_of_which_a_limit_cannot_be_read_is_closed() -> None:
    broken = setting("limits", service="web", closed=True)
    answer = _explain(_mesh(broken, permissive=True))

    assert not answer.decision.allowed
    assert "is closed: a limit of a Service cannot be read" in _why(answer)[-1]


def test_no_split_divides_what_no_sidecar_sends() -> None:
    v1 = service("v1", port(80, Protocol.HTTP), ips=("10.96.0.2",), selector={"app": "v1"})
    mesh = _mesh(traffic_split("s", ("v1", 1)), v1, BEYOND)

    assert _explain(mesh).decision.allowed


def test_of_a_headless_service_the_pod_that_is_dialled_is_asked() -> None:
    db = (
        headless("db", port(80, Protocol.HTTP, target=8080)),
        endpoint_slice("db", "10.0.0.6"),
        pod("db-1", account="db", app="db", addresses=("10.0.0.6",)),
    )
    answer = _explain(_mesh(*db), "http://db.shop:8080/")

    assert "10.0.0.6:8080 is Service shop/db" == _why(answer)[1]
    assert "db" == yaml.safe_load(answer.suggestion)["spec"]["backends"][0]["name"]


def test_bytes_come_in_by_the_address_of_pods_of_the_sources_alone() -> None:
    shared = pod("x", account="other", app="x", addresses=(CURL,))
    rule = RouteReference(Kind.TCP_ROUTE, "ports")
    both = traffic_target("t", rule, sources=(Account("shop", "curl"), Account("shop", "other")))
    mesh = _mesh(both, tcp_route("ports", 8080), shared, protocol=Protocol.TCP)

    assert _explain(mesh, "web.shop:80", address=CURL).decision.allowed
    assert not _explain(mesh, "web.shop:80").decision.allowed
    assert "" == _explain(mesh, "web.shop:80").suggestion


def test_where_ingress_backends_are_off_that_is_said_and_none_is_suggested() -> None:
    mesh = _mesh(*TARGET, mesh_config(permissive=False))
    answer = _explain(mesh)

    assert "IngressBackends are off" in _why(answer)[-1]
    assert "" == answer.suggestion


def test_what_goes_elsewhere_is_not_decided() -> None:
    with pytest.raises(ValueError, match="is not in the mesh"):
        _explain(_mesh(), "http://example.test/")


def test_a_question_names_an_account_or_an_address() -> None:
    def caller(text: str) -> Account | IPv4Address:
        return read_question(text, "http://a/", method="", headers={}, address="")[0]

    assert [Account("shop", "curl"), IPv4Address(OUTSIDE)] == [caller("shop/curl"), caller(OUTSIDE)]
    with pytest.raises(ValueError, match="nor an IPv4 address"):
        caller("10.0.0")
