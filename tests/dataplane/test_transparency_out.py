"""HTTP out of the mesh as if the sidecar were not there: to a host of a policy, and to others."""

from __future__ import annotations

import pytest

from support.dataplane.hosts import MIRROR_PORT
from support.dataplane.mirror import CHANGED, REQUESTS, answer, upgraded
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import egress, until_curl
from support.dataplane.rig import Rig

pytestmark = pytest.mark.dataplane

ADDRESS = (OUTSIDE[0], MIRROR_PORT)


@pytest.fixture(params=["named", "other"])
def mirrored(request: pytest.FixtureRequest, outside: Rig) -> Rig:
    """A policy names the host, or passthrough lets it out beside a policy for another."""
    host = "httpbin.org" if request.param == "named" else "openservicemesh.io"
    outside.manifests.apply(egress("p", (MIRROR_PORT, "http"), hosts=[host]))
    outside.manifests.set_egress(on=request.param == "other")
    until_curl(outside, f"http://httpbin.org:{MIRROR_PORT}/", status=200)
    return outside


def test_requests_arrive_as_they_are_sent(mirrored: Rig) -> None:
    arrived = {name: answer(mirrored.client, ADDRESS, sent)[1] for name, sent in REQUESTS.items()}

    differing = [name for name, sent in REQUESTS.items() if arrived[name] != sent]
    assert differing == [], {name: (REQUESTS[name], arrived[name]) for name in differing}


def test_what_cannot_arrive_as_it_is_sent_arrives_as_the_docs_say(mirrored: Rig) -> None:
    """HTTP/1.0 without a host names none, so that a policy lets none of it out."""
    sent = {n: case for n, case in CHANGED.items() if n != "HTTP/1.0 without a host"}
    arrived = {n: answer(mirrored.client, ADDRESS, case[0])[1] for n, case in sent.items()}

    assert arrived == {name: case[1] for name, case in sent.items()}


def test_answers_keep_their_words_and_letter_case(mirrored: Rig) -> None:
    head, _ = answer(mirrored.client, ADDRESS, REQUESTS["letter case of names"])

    assert head.startswith(b"HTTP/1.1 200 Fine\r\n")
    assert b"\r\nX-CamelCase: Kept" in head


@pytest.mark.parametrize("protocol", [b"websocket", b"SPDY/3.1", b"tcp"])
def test_connections_change_their_protocol(mirrored: Rig, protocol: bytes) -> None:
    line, heard = upgraded(mirrored.client, ADDRESS, protocol)

    assert (line.split()[1], heard) == (b"101", b"hello\n")
