"""HTTP out of the mesh as if the sidecar were not there: to a host of a policy, and to others."""

from __future__ import annotations

import pytest

from support.dataplane.hosts import MIRROR_PORT
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import egress, until_curl
from support.dataplane.rig import Rig
from support.dataplane.transparency import (
    PROTOCOLS,
    assert_answers_keep_words_and_letter_case,
    assert_others_arrive_as_documented,
    assert_protocol_changes,
    assert_requests_arrive_as_sent,
)

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
    assert_requests_arrive_as_sent(mirrored.client, ADDRESS)


def test_what_cannot_arrive_as_it_is_sent_arrives_as_the_docs_say(mirrored: Rig) -> None:
    """HTTP/1.0 without a host names none, so that a policy lets none of it out."""
    assert_others_arrive_as_documented(mirrored.client, ADDRESS, without="HTTP/1.0 without a host")


def test_answers_keep_their_words_and_letter_case(mirrored: Rig) -> None:
    assert_answers_keep_words_and_letter_case(mirrored.client, ADDRESS)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_connections_change_their_protocol(mirrored: Rig, protocol: bytes) -> None:
    assert_protocol_changes(mirrored.client, ADDRESS, protocol)
