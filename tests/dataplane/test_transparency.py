"""HTTP as if no sidecar were there: in the mesh through two, and out of it through one, to a host
that a policy names and to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from support.dataplane.clients import Address
from support.dataplane.hosts import MIRROR_PORT
from support.dataplane.mirror import CHANGED, REQUESTS, answer, upgraded
from support.dataplane.netns import Namespace
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import egress, until_curl
from support.dataplane.rig import Rig

pytestmark = pytest.mark.dataplane

SERVICE: Address = ("10.96.0.27", 80)
HOST: Address = (OUTSIDE[0], MIRROR_PORT)
# HTTP/1.0 without a host names none, so that a policy lets none of it out.
CHANGED_OUTSIDE = {n: case for n, case in CHANGED.items() if n != "HTTP/1.0 without a host"}


@dataclass(frozen=True)
class Mirror:
    """A server that answers with the request that it got, and where a client reaches it."""

    client: Namespace
    address: Address
    changed: Mapping[str, tuple[bytes, bytes]]
    """Requests that cannot arrive as they are sent, and how they do."""


@pytest.fixture(scope="module")
def service(bookstore: Rig) -> Iterator[Mirror]:
    bookstore.manifests.add_service(
        "bookstore",
        name="mirror",
        address=SERVICE[0],
        port=SERVICE[1],
        target_port=MIRROR_PORT,
        protocol="http",
    )
    bookstore.sidecar.until(lambda: reached(bookstore), bool, what="the mirror is served")
    yield Mirror(bookstore.client, SERVICE, CHANGED)
    bookstore.manifests.remove_service("mirror")


@pytest.fixture(params=["in the mesh", "named by a policy", "by passthrough"])
def mirror(request: pytest.FixtureRequest) -> Mirror:
    """By passthrough: beside a policy for another host."""
    if request.param == "in the mesh":
        served: Mirror = request.getfixturevalue("service")
        return served
    outside: Rig = request.getfixturevalue("outside")
    host = "httpbin.org" if request.param == "named by a policy" else "openservicemesh.io"
    outside.manifests.apply(egress("p", (MIRROR_PORT, "http"), hosts=[host]))
    outside.manifests.set_egress(on=request.param == "by passthrough")
    until_curl(outside, f"http://httpbin.org:{MIRROR_PORT}/", status=200)
    return Mirror(outside.client, HOST, CHANGED_OUTSIDE)


def test_requests_arrive_as_they_are_sent(mirror: Mirror) -> None:
    arrived = {n: answer(mirror.client, mirror.address, sent)[1] for n, sent in REQUESTS.items()}

    differing = [name for name, sent in REQUESTS.items() if arrived[name] != sent]
    assert differing == [], {name: (REQUESTS[name], arrived[name]) for name in differing}


def test_what_cannot_arrive_as_it_is_sent_arrives_as_the_docs_say(mirror: Mirror) -> None:
    arrived = {
        name: answer(mirror.client, mirror.address, sent)[1]
        for name, (sent, _) in mirror.changed.items()
    }

    assert {name: expected for name, (_, expected) in mirror.changed.items()} == arrived


def test_answers_keep_their_words_and_letter_case(mirror: Mirror) -> None:
    head, _ = answer(mirror.client, mirror.address, REQUESTS["letter case of names"])

    assert head.startswith(b"HTTP/1.1 200 Fine\r\n")
    assert b"\r\nX-CamelCase: Kept" in head


@pytest.mark.parametrize("protocol", [b"websocket", b"SPDY/3.1", b"tcp"])
def test_connections_change_their_protocol(mirror: Mirror, protocol: bytes) -> None:
    line, heard = upgraded(mirror.client, mirror.address, protocol)

    assert (b"101", b"hello\n") == (line.split()[1], heard)


def reached(rig: Rig) -> bool:
    head, _ = answer(rig.client, SERVICE, REQUESTS["x-forwarded-proto"])
    return head.startswith(b"HTTP/1.1 200")
