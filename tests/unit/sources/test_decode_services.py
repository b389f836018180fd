"""Services and endpoint slices as Kubernetes sends them, and as people get them wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from towpath.model.codes import Reason
from towpath.model.names import Protocol
from towpath.model.problem import Problem
from towpath.model.workloads import EndpointSlice, Service, ServicePort
from towpath.sources.decode import Decoded, decode, protocols

HEAD = {"name": "web", "namespace": "shop"}


def decode_service(**spec: object) -> Decoded:
    return decode({"apiVersion": "v1", "kind": "Service", "metadata": HEAD, "spec": spec}, "")


def service(**spec: object) -> Service:
    value = decode_service(**spec).value
    assert isinstance(value, Service)
    return value


def with_port(**port: object) -> tuple[tuple[ServicePort, ...], tuple[Problem, ...]]:
    """The ports and Problems of a service with this port and a good one."""
    good = {"name": "good", "port": 9999}
    decoded = decode_service(clusterIP="10.96.0.1", ports=[{"port": 80, **port}, good])
    assert isinstance(decoded.value, Service)
    return decoded.value.ports, decoded.problems


def decode_slice(**fields: object) -> Decoded:
    raw = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**HEAD, "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        **fields,
    }
    return decode(raw, "")


def endpoint_slice(**fields: object) -> EndpointSlice:
    value = decode_slice(**fields).value
    assert isinstance(value, EndpointSlice)
    return value


GOOD = ServicePort("good", 9999, 9999, Protocol.HTTP)


def test_a_service_has_its_ipv4_addresses_ports_and_selector() -> None:
    actual = service(
        clusterIP="10.96.0.1",
        clusterIPs=["10.96.0.1", "fd00::1"],
        selector={"b": "2", "a": "1"},
        ports=[{"name": "web", "port": 80, "targetPort": "http", "nodePort": 30080}],
    )

    ports = (ServicePort("web", 80, "http", Protocol.HTTP),)
    expected = Service(
        "shop",
        "web",
        ("10.96.0.1",),
        headless=False,
        ports=ports,
        selector=(("a", "1"), ("b", "2")),
    )
    assert expected == actual


def test_a_headless_service_has_no_address() -> None:
    actual = service(clusterIP="None", clusterIPs=["None"], ports=None, selector=None)

    assert (actual.headless, actual.cluster_ips) == (True, ())


def test_an_external_name_is_an_alias_without_ports() -> None:
    decoded = decode_service(type="ExternalName", externalName="example.com", ports=[{"port": 80}])

    assert isinstance(decoded.value, Service)
    assert (decoded.value.external_name, decoded.value.ports) == ("example.com", ())
    assert decoded.problems == ()


def test_an_unknown_type_of_service_is_a_problem() -> None:
    decoded = decode_service(type="Magic")

    assert decoded.value is None
    assert [p.field for p in decoded.problems] == ["spec.type"]


def test_a_service_without_any_address_is_held_with_a_problem() -> None:
    decoded = decode_service(ports=[])

    assert isinstance(decoded.value, Service)
    assert [(p.field, p.reason) for p in decoded.problems] == [("spec.clusterIP", Reason.MISSING)]


@pytest.mark.parametrize("address", ["10.0.0.256", "10.0.0", "010.0.0.1", "web", "0.0.0.0"])
def test_a_bad_address_is_left_out_with_a_problem(address: str) -> None:
    decoded = decode_service(clusterIP=address, clusterIPs=[address, "10.96.0.2"])

    assert isinstance(decoded.value, Service)
    assert decoded.value.cluster_ips == ("10.96.0.2",)
    (problem,) = decoded.problems
    assert problem.field == "spec.clusterIP"
    assert f'is "{address}"' in problem.message


@pytest.mark.parametrize(
    ("given", "protocol"),
    [
        ("http", Protocol.HTTP),
        ("HTTP2", Protocol.HTTP),
        ("kubernetes.io/h2c", Protocol.HTTP),
        ("grpc-web", Protocol.HTTP),
        ("TLS", Protocol.HTTPS),
        ("kubernetes.io/wss", Protocol.HTTPS),
        ("tcp", Protocol.TCP),
        ("tcp-server-first", Protocol.TCP_SERVER_FIRST),
    ],
)
def test_app_protocol_says_what_a_port_speaks(given: str, protocol: Protocol) -> None:
    ports, problems = with_port(name="tls-web", appProtocol=given)

    assert (ports[0].protocol, problems) == (protocol, ())


@pytest.mark.parametrize("given", ["example.com/x", "ipp", "xmpp", "kafka", "mongo", "redis"])
def test_a_hint_that_is_not_understood_is_plain_tcp_and_closes_nothing(given: str) -> None:
    ports, problems = with_port(appProtocol=given)

    assert (ports[0].protocol, ports[1], problems) == (Protocol.TCP, GOOD, ())


@pytest.mark.parametrize("given", ["mysql", "MariaDB", "smtp", "ftp", "ssh", "imap", "nats"])
def test_a_protocol_whose_server_speaks_first_is_known_by_its_name(given: str) -> None:
    by_hint, problems = with_port(appProtocol=given)
    by_name, _ = with_port(name=f"{given.lower()}-main")

    assert (by_hint[0].protocol, problems) == (Protocol.TCP_SERVER_FIRST, ())
    assert by_name[0].protocol == Protocol.TCP_SERVER_FIRST


@pytest.mark.parametrize(
    ("given", "meant"), [("htpt", "http"), ("kubernetes.io/h2", "kubernetes.io/h2c")]
)
def test_a_hint_that_looks_misspelt_is_plain_tcp_with_a_problem(given: str, meant: str) -> None:
    ports, problems = with_port(appProtocol=given)

    assert (ports[0].protocol, ports[1]) == (Protocol.TCP, GOOD)
    assert [(p.field, p.reason, p.message) for p in problems] == [
        (
            "spec.ports[0].appProtocol",
            Reason.INVALID,
            f'is "{given}", which is taken for plain TCP; did you mean {meant}?',
        )
    ]


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("http", Protocol.HTTP),
        ("http2-api", Protocol.HTTP),
        ("grpc-web", Protocol.HTTP),
        ("https-web", Protocol.HTTPS),
        ("tls", Protocol.HTTPS),
        ("tcp", Protocol.TCP),
        ("tcp-server", Protocol.TCP),
        ("tcp-server-first", Protocol.TCP_SERVER_FIRST),
        ("tcp-server-first-db", Protocol.TCP_SERVER_FIRST),
        ("tcpish", Protocol.HTTP),
        ("redis", Protocol.TCP),
        ("postgres-main", Protocol.TCP),
        ("web", Protocol.HTTP),
        (None, Protocol.HTTP),
    ],
)
def test_without_app_protocol_the_longest_prefix_of_the_name_says_it(
    name: str | None, protocol: Protocol
) -> None:
    ports, problems = with_port(name=name, appProtocol=None)

    assert (ports[0].protocol, problems) == (protocol, ())


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
def test_ports_that_are_not_tcp_are_passed_over(protocol: str) -> None:
    assert with_port(protocol=protocol) == ((GOOD,), ())


def test_an_unknown_transport_is_a_problem_and_the_port_is_left_out() -> None:
    ports, problems = with_port(protocol="tcp")

    assert ports == (GOOD,)
    assert [p.field for p in problems] == ["spec.ports[0].protocol"]


@pytest.mark.parametrize("number", [0, -1, 70000, None])
def test_a_bad_port_number_is_left_out_and_the_others_stay(number: object) -> None:
    ports, problems = with_port(port=number)

    assert ports == (GOOD,)
    (problem,) = problems
    assert problem.field == "spec.ports[0].port"
    assert "allowed: an integer from 1 to 65535" in problem.message


@pytest.mark.parametrize("target", [70000, -1, "8080", "Web", "a-name-that-is-too-long"])
def test_a_bad_target_port_is_left_out_and_the_others_stay(target: object) -> None:
    ports, problems = with_port(targetPort=target)

    assert ports == (GOOD,)
    assert [p.field for p in problems] == ["spec.ports[0].targetPort"]


@pytest.mark.parametrize("target", [None, 0, ""])
def test_without_a_target_port_it_is_the_port(target: object) -> None:
    ports, problems = with_port(targetPort=target)

    assert (ports[0].target_port, problems) == (80, ())


def test_of_two_ports_with_one_number_the_first_is_used() -> None:
    ports, problems = with_port(name="first", port=9999)

    assert ports == (ServicePort("first", 9999, 9999, Protocol.HTTP),)
    assert [p.field for p in problems] == ["spec.ports[1].port"]


def test_of_two_ports_with_one_name_the_first_is_used() -> None:
    ports, problems = with_port(name="good")

    assert [p.port for p in ports] == [80]
    assert [p.field for p in problems] == ["spec.ports[1].name"]


def test_one_number_may_serve_tcp_and_udp() -> None:
    ports, problems = with_port(port=9999, protocol="UDP")

    assert (ports, problems) == ((GOOD,), ())


@pytest.mark.parametrize("number", ["80", 80.5, True, [80]])
def test_a_port_number_of_a_wrong_type_names_field_value_and_type(number: object) -> None:
    decoded = decode_service(clusterIP="10.96.0.1", ports=[{"port": 1}, {"port": number}])

    assert decoded.value is None
    (problem,) = decoded.problems
    assert problem.field == "spec.ports[1].port"
    assert problem.message.endswith("allowed: an integer; the Service is not used")


def test_a_slice_has_its_ready_addresses_and_ports() -> None:
    actual = endpoint_slice(
        endpoints=[
            {"addresses": ["10.0.0.3", "10.0.0.2"], "conditions": {"ready": True}},
            {"addresses": ["10.0.0.1"], "conditions": {"ready": None}},
            {"addresses": ["10.0.0.2"]},
            {"addresses": ["10.0.0.9"], "conditions": {"ready": False, "serving": True}},
        ],
        ports=[{"name": "http", "port": 8080}, {"name": None, "port": 81}, {"name": "x"}],
    )

    addresses = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    assert actual == EndpointSlice("shop", "web", "web", addresses, (("", 81), ("http", 8080)))


def test_a_slice_may_be_empty() -> None:
    actual = endpoint_slice(endpoints=None, ports=None)

    assert (actual.addresses, actual.ports) == ((), ())


def test_what_still_serves_while_its_pod_ends_is_kept_apart() -> None:
    ending = {"ready": False, "terminating": True}
    actual = endpoint_slice(
        endpoints=[
            {"addresses": ["10.0.0.4"], "conditions": {**ending, "serving": True}},
            {"addresses": ["10.0.0.3"], "conditions": ending},
            {"addresses": ["10.0.0.2"], "conditions": {**ending, "serving": False}},
            {"addresses": ["10.0.0.1"], "conditions": {"ready": False, "serving": True}},
        ]
    )

    assert (actual.addresses, actual.ending) == ((), ("10.0.0.3", "10.0.0.4"))


def test_a_slice_of_ipv6_stands_beside_one_of_ipv4_and_is_passed_over() -> None:
    decoded = decode_slice(addressType="IPv6", endpoints=[{"addresses": ["fd00::1"]}])

    assert (decoded.value, decoded.problems) == (None, ())


def test_a_slice_of_host_names_is_a_problem() -> None:
    decoded = decode_slice(addressType="FQDN", endpoints=[{"addresses": ["example.com"]}])

    assert decoded.value is None
    assert [(p.field, p.reason) for p in decoded.problems] == [
        ("addressType", Reason.NOT_SUPPORTED)
    ]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"clusterIP": "fd00::1"}, "spec.clusterIP"),
        ({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]}, "spec.clusterIPs"),
        ({"clusterIP": "None", "ipFamilies": ["IPv6"]}, "spec.ipFamilies"),
    ],
)
def test_a_service_of_ipv6_alone_is_a_problem(spec: dict[str, object], field: str) -> None:
    decoded = decode_service(**spec)

    assert isinstance(decoded.value, Service)
    assert [(p.field, p.reason) for p in decoded.problems] == [(field, Reason.NOT_SUPPORTED)]


def test_a_dual_stack_service_is_no_problem() -> None:
    addresses = ["10.96.0.1", "fd00::1"]

    assert decode_service(clusterIP="10.96.0.1", clusterIPs=addresses).problems == ()
    assert decode_service(clusterIP="None", ipFamilies=["IPv6", "IPv4"]).problems == ()


def test_a_slice_of_no_service_is_a_problem() -> None:
    decoded = decode_slice(metadata=HEAD)

    assert decoded.value is None
    (problem,) = decoded.problems
    assert problem.field == "metadata.labels[kubernetes.io/service-name]"


def test_a_bad_endpoint_is_left_out_and_the_others_stay() -> None:
    decoded = decode_slice(
        endpoints=[{"addresses": ["10.0.0.1", "nonsense"]}],
        ports=[{"name": "a", "port": 0}, {"name": "b", "port": 2}, {"name": "b", "port": 3}],
    )

    assert isinstance(decoded.value, EndpointSlice)
    assert (decoded.value.addresses, decoded.value.ports) == (("10.0.0.1",), (("b", 2),))
    fields = [p.field for p in decoded.problems]
    assert fields == ["endpoints[0].addresses[1]", "ports[0].port", "ports[2].name"]


def test_fields_that_nobody_knows_do_no_harm() -> None:
    assert service(clusterIP="10.96.0.1", sessionAffinity="None", trafficFoo={}).ports == ()


def test_the_docs_list_every_protocol_that_is_known() -> None:
    page = (Path(__file__).parents[3] / "docs/traffic.md").read_text()
    table = page.partition("## Which endpoints")[0]
    known = (*protocols.OF_KUBERNETES, *protocols.BY_NAME)

    assert [name for name in known if f"`{name}`" not in table] == []
