"""Names of Envoy's resources, and what is read back from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.encode.envoy import names
from towpath.model.names import Protocol
from towpath.model.plan import Destination, destination_name, destination_of

labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
ports = st.integers(1, 65535)
ranges = st.none() | st.sampled_from(["10.0.0.0/8", "192.0.2.1/32,198.51.100.0/24"])


def _destination(namespace: str, service: str, port: int) -> Destination:
    return Destination(namespace, service, port, Protocol.HTTP, ("10.0.0.1",), direct=False)


@given(labels, labels, ports)
def test_a_service_is_read_back_from_every_name_that_it_is_in(
    namespace: str, service: str, port: int
) -> None:
    destination = _destination(namespace, service, port)

    assert (namespace, service, port) == destination_of(destination.name)
    for name in (destination.name, names.outbound_routes_of(destination)):
        assert (namespace, service) == names.service_of(name)
        assert names.egress_port_of(name) is None


@given(ports, ranges)
def test_a_port_is_read_back_from_the_name_of_its_egress_routes(
    port: int, addresses: str | None
) -> None:
    name = names.egress_routes_of(port, addresses)

    assert port == names.egress_port_of(name)
    assert names.service_of(name) is None


@given(labels, labels, ports, st.text(max_size=3), st.integers(0, 40))
def test_a_changed_name_is_read_as_what_it_is_the_name_of(
    namespace: str, service: str, port: int, text: str, place: int
) -> None:
    name = destination_name(namespace, service, port)
    changed = name[:place] + text + name[place:]

    if (destination := destination_of(changed)) is not None:
        assert int(changed.rpartition("|")[2]) == destination[2]
        assert destination_name(*destination).rpartition("|")[0] == changed.rpartition("|")[0]


@pytest.mark.parametrize(
    "name",
    [
        "httpbin.org:443",
        "*.example.com:443",
        "25",
        "10.0.0.0/8|443",
        "fd00::/8|443",
        "inbound|8080|local",
        names.OUTBOUND_LISTENER,
        names.INBOUND_LISTENER,
        "rds-inbound.8080",
        "rds-outbound.shop|80",
        "rds-egress.",
        "rds-egress.http",
        "",
    ],
)
def test_other_names_are_of_no_service_and_of_no_egress_routes(name: str) -> None:
    assert names.service_of(name) is None
    assert names.egress_port_of(name) is None
