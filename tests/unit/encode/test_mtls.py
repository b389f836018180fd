"""Mutual TLS in Envoy's words; each trap of a real Envoy has its test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    DownstreamTlsContext,
    UpstreamTlsContext,
)
from google.protobuf.json_format import MessageToDict

from support.identities import identity
from towpath.encode import envoy
from towpath.encode.endpoints import load_assignment
from towpath.encode.envoy.inspection import inspected
from towpath.encode.pack import unpack
from towpath.model.identity import TLS_DEFAULTS, Roots, TlsParameters
from towpath.model.names import Account, Protocol
from towpath.model.plan import (
    Destination,
    Destinations,
    Endpoint,
    Inbound,
    InboundPort,
    Request,
    ServerMtls,
)
from towpath.model.snapshot import Layer, Resource

WEB, CURL = Account("shop", "web"), Account("shop", "curl")
HTTP = InboundPort(8080, Protocol.HTTP, ("shop/web",))
TCP = InboundPort(9000, Protocol.TCP, ("shop/web",))
SERVER_FIRST = InboundPort(9100, Protocol.TCP_SERVER_FIRST, ("shop/web",))
PROBED = InboundPort(7000, Protocol.HTTP, (), (Request("GET", "/live"),))
PERMISSIVE, STRICT = ServerMtls(WEB), ServerMtls(WEB, strict=True)
ROOTS = Roots(b"root", "cluster.local")


def _listener(*ports: InboundPort, mtls: ServerMtls | None = PERMISSIVE) -> Listener:
    (resource,) = envoy.inbound_listener(Inbound(ports, mtls)).values()
    return _read(resource, Listener())


def _read(resource: Resource, message: Any) -> Any:
    assert unpack(resource).Unpack(message)
    return message


def _chains(listener: Listener) -> dict[str, Any]:
    return {chain.name: chain for chain in listener.filter_chains}


def _server(chain: Any) -> DownstreamTlsContext:
    context = DownstreamTlsContext()
    assert chain.transport_socket.typed_config.Unpack(context)
    return context


def _cluster(destination: Destination) -> Cluster:
    return _read(_called_as_curl(destination), Cluster())


def _called_as_curl(destination: Destination) -> Resource:
    forms = Layer((envoy.mtls_cluster(destination, TLS_DEFAULTS),))
    (resource,) = envoy.called_as(CURL, forms).values()
    return resource


def _destination(*, direct: bool = False) -> Destination:
    return Destination("shop", "web", 80, Protocol.HTTP, ("10.96.0.1",), direct)


def _client(socket: Any) -> UpstreamTlsContext:
    context = UpstreamTlsContext()
    assert socket.typed_config.Unpack(context)
    return context


def test_trap_3_what_takes_mutual_tls_matches_port_and_alpn_and_nothing_else() -> None:
    match = _chains(_listener(HTTP))["inbound-mesh.8080"].filter_chain_match

    assert {"destinationPort": 8080, "applicationProtocols": ["osm"]} == MessageToDict(match)


def test_beside_it_plaintext_comes_in_on_the_same_port() -> None:
    chains = _chains(_listener(HTTP, TCP))

    expected = {"inbound-mesh.8080", "inbound-mesh.9000", "inbound-plain.8080"}
    assert {*expected, "inbound-plain.9000"} == chains.keys()
    plain = chains["inbound-plain.8080"]
    assert {"destinationPort": 8080} == MessageToDict(plain.filter_chain_match)
    assert not plain.HasField("transport_socket")


def test_in_strict_mode_it_does_not() -> None:
    assert ["inbound-mesh.8080"] == [*_chains(_listener(HTTP, mtls=STRICT))]


def test_in_strict_mode_the_kubelets_requests_come_in_beside_it_and_nothing_else() -> None:
    mtls = replace(STRICT, probes=(replace(HTTP, probes=(Request("GET", "/live"),)),))
    plan = Inbound((HTTP, PROBED), mtls)
    chains = _chains(_listener(*plan.ports, mtls=mtls))
    routes = envoy.inbound_routes(plan)

    assert {"inbound-mesh.8080", "inbound-probes.8080", "inbound-probes.7000"} == chains.keys()
    assert {
        "rds-inbound.8080",
        "rds-inbound-mtls.8080",
        "rds-inbound-probes.8080",
        "rds-inbound.7000",
    } == routes.keys()
    assert "rds-inbound-probes.8080" in str(chains["inbound-probes.8080"])
    (host,) = _read(routes["rds-inbound-probes.8080"], RouteConfiguration()).virtual_hosts
    assert [("/live", "inbound|8080|local")] == [
        (route.match.path, route.route.cluster) for route in host.routes
    ]


def test_trap_4_the_server_answers_no_alpn_and_the_client_says_it() -> None:
    server = _server(_chains(_listener(HTTP))["inbound-mesh.8080"])
    client = _client(_cluster(_destination()).transport_socket_matches[0].transport_socket)

    assert [] == [*server.common_tls_context.alpn_protocols]
    assert ["osm"] == [*client.common_tls_context.alpn_protocols]


def test_trap_5_a_port_that_takes_mutual_tls_is_inspected_also_if_its_server_speaks_first() -> None:
    listener = _listener(HTTP, SERVER_FIRST, PROBED)

    assert {8080, 9100} == inspected(listener)
    assert [
        "envoy.filters.listener.original_dst",
        "envoy.filters.listener.tls_inspector",
    ] == [one.name for one in listener.listener_filters]


@pytest.mark.parametrize(("ports", "expected"), [((HTTP, TCP), 5.0), ((HTTP, SERVER_FIRST), 1.0)])
def test_who_says_nothing_is_let_in_as_plaintext_after_a_while(
    ports: tuple[InboundPort, ...], expected: float
) -> None:
    listener = _listener(*ports)

    waits = listener.listener_filters_timeout.ToTimedelta().total_seconds()
    assert (expected, True) == (waits, listener.continue_on_listener_filters_timeout)


def test_a_change_of_mode_changes_nothing_of_the_listener_but_its_chains() -> None:
    listeners = [_listener(HTTP, SERVER_FIRST, PROBED, mtls=mtls) for mtls in (PERMISSIVE, STRICT)]
    kept = [_chains(listener)["inbound-mesh.8080"] for listener in listeners]
    for listener in listeners:
        del listener.filter_chains[:]

    assert listeners[0] == listeners[1]
    assert kept[0] == kept[1]


def test_without_mutual_tls_nothing_is_inspected_or_given_up() -> None:
    listener = _listener(HTTP, SERVER_FIRST, mtls=None)

    assert ["envoy.filters.listener.original_dst"] == [o.name for o in listener.listener_filters]
    assert not listener.continue_on_listener_filters_timeout
    assert ["inbound-mesh.8080", "inbound-mesh.9100"] == [*_chains(listener)]


def test_trap_7_no_session_is_resumed() -> None:
    server = _server(_chains(_listener(HTTP))["inbound-mesh.8080"])
    client = _client(_cluster(_destination()).transport_socket_matches[0].transport_socket)

    assert server.disable_stateless_session_resumption
    assert server.disable_stateful_session_resumption
    assert client.HasField("max_session_keys")
    assert 0 == client.max_session_keys.value


def test_a_client_must_show_a_certificate_by_the_accounts_secrets() -> None:
    server = _server(_chains(_listener(HTTP))["inbound-mesh.8080"])
    tls = server.common_tls_context

    assert server.require_client_certificate.value
    assert ["service-cert:shop/web"] == [o.name for o in tls.tls_certificate_sds_secret_configs]
    assert "root-cert-for-mtls-inbound:shop/web" == tls.validation_context_sds_secret_config.name


def test_a_cluster_calls_marked_endpoints_by_mutual_tls_and_all_others_in_plaintext() -> None:
    cluster = _cluster(_destination())
    by_mark, otherwise = cluster.transport_socket_matches

    assert ({"mtls": True}, {}) == (MessageToDict(by_mark.match), MessageToDict(otherwise.match))
    assert "envoy.transport_sockets.raw_buffer" == otherwise.transport_socket.name
    client = _client(by_mark.transport_socket)
    tls = client.common_tls_context
    assert "web.shop.svc.cluster.local" == client.sni
    assert ["service-cert:shop/curl"] == [o.name for o in tls.tls_certificate_sds_secret_configs]
    assert "root-cert-for-mtls-outbound:shop/web" == tls.validation_context_sds_secret_config.name
    assert not cluster.HasField("transport_socket")


def test_a_cluster_that_dials_what_was_dialled_calls_all_by_mutual_tls() -> None:
    cluster = _cluster(_destination(direct=True))

    assert Cluster.ORIGINAL_DST == cluster.type
    assert "web.shop.svc.cluster.local" == _client(cluster.transport_socket).sni
    assert [] == [*cluster.transport_socket_matches]


def test_the_mark_of_an_endpoint_is_what_the_cluster_matches() -> None:
    resource = load_assignment("c", (Endpoint("10.1.0.1", 80, mtls=True), Endpoint("10.1.0.2", 80)))
    (locality,) = _read(resource, ClusterLoadAssignment()).endpoints
    marked, other = locality.lb_endpoints
    matched = _cluster(_destination()).transport_socket_matches[0].match

    assert matched == marked.metadata.filter_metadata["envoy.transport_socket_match"]
    assert not other.HasField("metadata")


def _names(resource: Resource) -> list[dict[str, Any]]:
    context = _read(resource, Secret()).validation_context
    return [MessageToDict(one) for one in context.match_typed_subject_alt_names]


def test_trap_8_a_server_takes_the_mesh_s_accounts_and_no_other_kind_of_name() -> None:
    resource = envoy.trust_of_server(WEB, ROOTS)

    expected = {"sanType": "URI", "matcher": {"prefix": "spiffe://cluster.local/ns/"}}
    assert [expected] == _names(resource)
    assert "root-cert-for-mtls-inbound:shop/web" == resource.name


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        (
            (WEB, CURL),
            ["spiffe://cluster.local/ns/shop/sa/web", "spiffe://cluster.local/ns/shop/sa/curl"],
        ),
        ((), ["spiffe://cluster.local/ns/"]),
    ],
)
def test_a_client_takes_the_accounts_behind_a_service_by_name_and_nobody_if_there_are_none(
    accounts: tuple[Account, ...], expected: list[str]
) -> None:
    resource = envoy.trust_of_client("shop", "web", ROOTS, accounts)

    assert [{"sanType": "URI", "matcher": {"exact": name}} for name in expected] == _names(resource)
    assert "root-cert-for-mtls-outbound:shop/web" == resource.name


def test_a_secret_never_stands_in_for_another_but_the_one_before() -> None:
    before, after = (
        envoy.trust_of_client("shop", "web", ROOTS, accounts) for accounts in ((WEB,), (CURL,))
    )

    assert before == envoy.EnvoyVocabulary().intersection(before, after)
    assert envoy.EnvoyVocabulary().closed(before.type_url, before.name) is None


def test_until_mutual_tls_has_been_tried_a_cluster_stays_as_it_was() -> None:
    (plain,) = envoy.outbound_clusters(Destinations((_destination(),))).values()
    tls = _called_as_curl(_destination())

    assert plain == envoy.EnvoyVocabulary().intersection(plain, tls)
    assert tls == envoy.EnvoyVocabulary().intersection(tls, plain)


def test_a_switch_to_strict_only_narrows_what_a_listener_lets_in() -> None:
    permissive, strict = (
        envoy.inbound_listener(Inbound((HTTP, SERVER_FIRST), mtls))["inbound-listener"]
        for mtls in (PERMISSIVE, STRICT)
    )

    assert strict == envoy.EnvoyVocabulary().intersection(permissive, strict)
    assert strict == envoy.EnvoyVocabulary().intersection(strict, permissive)


def test_what_is_offered_of_tls_stays_until_it_has_been_tried_and_closes_no_chain() -> None:
    ports = (HTTP, TCP, SERVER_FIRST)
    modern = TlsParameters(minimum="TLSv1_3", curves=("P-256",))
    before, after = (
        envoy.inbound_listener(Inbound(ports, replace(PERMISSIVE, parameters=parameters)))[
            "inbound-listener"
        ]
        for parameters in (TLS_DEFAULTS, modern)
    )

    assert before != after
    assert before == envoy.EnvoyVocabulary().intersection(before, after)
    assert after == envoy.EnvoyVocabulary().intersection(after, before)


def test_beside_another_change_what_is_offered_of_tls_stays_and_a_new_port_waits() -> None:
    modern = replace(PERMISSIVE, parameters=TlsParameters(minimum="TLSv1_3"))
    before = envoy.inbound_listener(Inbound((HTTP,), PERMISSIVE))["inbound-listener"]
    after = envoy.inbound_listener(Inbound((HTTP, TCP), modern))["inbound-listener"]

    assert before == envoy.EnvoyVocabulary().intersection(before, after)


def test_who_takes_mutual_tls_as_another_account_is_closed_meanwhile() -> None:
    before, after = (
        envoy.inbound_listener(Inbound((TCP,), ServerMtls(account)))["inbound-listener"]
        for account in (CURL, WEB)
    )
    between = envoy.EnvoyVocabulary().intersection(before, after)

    assert between is not None
    (closed,) = (one for one in _read(between, Listener()).filter_chains if not one.filters)
    assert "inbound-mesh.9000" == closed.name


def test_a_pod_marked_while_it_runs_goes_on_in_plaintext_until_that_has_been_tried() -> None:
    plain, marked = (
        envoy.inbound_listener(Inbound((HTTP, PROBED), mtls))["inbound-listener"]
        for mtls in (None, PERMISSIVE)
    )
    both = envoy.EnvoyVocabulary().intersection(plain, marked)

    assert both == plain


def test_a_certificate_is_sent_with_its_key_and_shown_by_no_repr() -> None:
    mesh = identity()
    assert mesh.signer is not None
    leaf = mesh.signer.leaf(WEB, mesh.windows[0])
    resource = envoy.certificate(leaf)

    pair = _read(resource, Secret()).tls_certificate
    assert ("service-cert:shop/web", leaf.private_key.decode()) == (
        resource.name,
        pair.private_key.inline_string,
    )
    assert leaf.certificate_chain.decode() == pair.certificate_chain.inline_string
    assert "key stub" not in f"{resource!r} {leaf!r}"
