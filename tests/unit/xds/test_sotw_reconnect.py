"""State of the world after a reconnect: equal listeners and clusters are not sent again."""

from __future__ import annotations

import pytest

from support.resources import FakeVocabulary, resource, snapshot
from support.xds_peer import SotwPeer
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES

AB = {"a": "1", "b": "1"}
FULL_STATE = pytest.mark.parametrize("type_url", [CLUSTER, LISTENER])
NAMED = pytest.mark.parametrize("type_url", [ENDPOINTS, ROUTES])


def _version(type_url: str, *names: str) -> str:
    """The version that a client holds after its first stream."""
    return SotwPeer({type_url: AB}).ask_one(type_url, *names).version


@FULL_STATE
@pytest.mark.parametrize("names", [(), ("*",)])
def test_a_wildcard_client_that_holds_all_this_is_sent_nothing(
    type_url: str, names: tuple[str, ...]
) -> None:
    peer = SotwPeer({type_url: AB})

    assert peer.ask(type_url, *names, version=_version(type_url)) == []


@FULL_STATE
def test_a_client_that_was_sent_nothing_gets_the_next_change(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})
    peer.ask(type_url, version=_version(type_url))

    (response,) = peer.publish({type_url: {**AB, "a": "2"}})

    assert response.contents == {**AB, "a": "2"}


@FULL_STATE
def test_a_client_that_holds_another_version_is_sent_everything(type_url: str) -> None:
    peer = SotwPeer({type_url: {**AB, "b": "2"}})

    assert peer.ask_one(type_url, version=_version(type_url)).contents == {**AB, "b": "2"}


@FULL_STATE
def test_a_client_that_names_resources_is_always_answered(type_url: str) -> None:
    """It may have dropped one of them since it accepted that version."""
    peer = SotwPeer({type_url: AB})

    response = peer.ask_one(type_url, "a", "b", version=_version(type_url, "a", "b"))

    assert response.contents == AB


@FULL_STATE
def test_a_client_that_has_rejected_something_is_answered_whatever_version_it_states(
    type_url: str,
) -> None:
    """It may have taken a part of what it rejected, and still states the version before it."""
    earlier = SotwPeer({type_url: AB})
    first = earlier.ask_one(type_url)
    earlier.ack(first)
    (bad,) = earlier.publish({type_url: {**AB, "c": "1", "d": "bad"}})
    earlier.nack(bad, "d: bad")

    peer = SotwPeer({type_url: AB}, earlier.client)

    assert peer.ask_one(type_url, version=first.version).contents == AB


@FULL_STATE
def test_a_wildcard_by_name_that_ends_before_any_response_is_not_a_legacy_one(
    type_url: str,
) -> None:
    peer = SotwPeer({type_url: AB})
    version = _version(type_url)
    peer.ask(type_url, "*", version=version)

    peer.ask(type_url, version=version)

    assert not any(r.contents for r in peer.publish({type_url: {"a": "2"}}))


@FULL_STATE
def test_names_given_after_a_silent_reconnect_are_answered(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})
    peer.ask(type_url, version=_version(type_url))

    assert peer.ask_one(type_url, "a", version=_version(type_url)).contents == {"a": "1"}


@NAMED
def test_named_types_are_answered_whatever_version_the_client_holds(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})

    response = peer.ask_one(type_url, "a", version=_version(type_url, "a"))

    assert response.contents == {"a": "1"}


@pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES])
def test_a_nonce_of_an_earlier_stream_makes_no_difference(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})

    assert peer.ask_one(type_url, "a", nonce="17").contents == {"a": "1"}


def test_endpoints_asked_for_before_clusters_come_again_behind_them() -> None:
    """An Envoy that reconnects may ask for endpoints first; a changed cluster warms anew."""
    peer = SotwPeer({CLUSTER: {"a": "2"}, ENDPOINTS: {"a": "1"}})
    assert peer.ask_one(ENDPOINTS, "a").contents == {"a": "1"}

    clusters, endpoints = peer.ask(CLUSTER, version=_version(CLUSTER))

    assert (clusters.type_url, endpoints.type_url) == (CLUSTER, ENDPOINTS)
    assert endpoints.contents == {"a": "1"}


def test_a_reconnect_to_equal_clusters_sends_no_endpoints_twice() -> None:
    peer = SotwPeer({CLUSTER: AB, ENDPOINTS: AB})
    assert peer.ask_one(ENDPOINTS, "a", "b").contents == AB

    assert peer.ask(CLUSTER, version=_version(CLUSTER)) == []


def test_routes_from_before_the_stream_that_are_gone_are_closed_and_new_ones_waited_for() -> None:
    """A draining listener of the client's may still lead to them."""
    vocabulary = FakeVocabulary(revoked=lambda kind, name: resource(kind, name, "closed"))
    world = Snapshot(snapshot({ROUTES: {}}).sets, vocabulary)
    peer = SotwPeer(world)

    assert {"a": "closed"} == peer.ask_one(ROUTES, "a", version="v").contents

    fresh = SotwPeer(world)
    assert [] == fresh.ask(ROUTES, "a")
