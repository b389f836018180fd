"""A cluster that is new is there for others once its endpoints are."""

from __future__ import annotations

import pytest

from support.xds_peer import DeltaPeer, SotwPeer, told
from towpath.model.types import CLUSTER, ENDPOINTS, ROUTES

OLD = {CLUSTER: {"old": "1"}, ENDPOINTS: {"old": "1"}, ROUTES: {"to": "old"}}
NEW = {
    CLUSTER: {"old": "1", "new": "1"},
    ENDPOINTS: {"old": "1", "new": "1"},
    ROUTES: {"to": "new"},
}


@pytest.fixture
def sotw() -> SotwPeer:
    """A client that holds OLD, and was sent the clusters of NEW."""
    peer = SotwPeer(OLD)
    peer.ack(peer.ask_one(CLUSTER))
    peer.ack(peer.ask_one(ENDPOINTS, "old"), "old")
    peer.ack(peer.ask_one(ROUTES, "to"), "to")
    return peer


def test_routes_wait_for_endpoints_that_the_client_has_still_to_ask_for(sotw: SotwPeer) -> None:
    (clusters,) = sotw.publish(NEW)
    assert told(sotw.ack(clusters)) == []
    (assigned,) = sotw.ask(ENDPOINTS, "old", "new")
    assert "new" in assigned.contents
    answers = told(sotw.ack(assigned, "old", "new"))

    assert [ROUTES] == [response.type_url for response in answers]


def test_they_wait_for_a_while_if_it_does_not_ask(sotw: SotwPeer) -> None:
    (clusters,) = sotw.publish(NEW)
    assert told(sotw.ack(clusters)) == []

    assert [ROUTES] == [response.type_url for response in sotw.let_waits_end()]
    again = {**NEW, ROUTES: {"to": "new too"}}
    assert [ROUTES] == [response.type_url for response in sotw.publish(again)]


def test_they_do_not_wait_for_a_cluster_without_endpoints(sotw: SotwPeer) -> None:
    (clusters,) = sotw.publish({**NEW, ENDPOINTS: OLD[ENDPOINTS]})

    assert [ROUTES] == [response.type_url for response in told(sotw.ack(clusters))]


def test_delta_waits_in_the_same_way() -> None:
    peer = DeltaPeer(OLD)
    peer.ack(peer.ask_one(CLUSTER))
    peer.ack(peer.ask_one(ENDPOINTS, "old"))
    peer.ack(peer.ask_one(ROUTES, "to"))
    (clusters,) = peer.publish(NEW)
    assert told(peer.ack(clusters)) == []
    (assigned,) = peer.ask(ENDPOINTS, "new")

    assert [ROUTES] == [response.type_url for response in told(peer.ack(assigned))]


def test_a_search_for_what_was_rejected_waits_no_longer_than_other_routes() -> None:
    peer = SotwPeer({CLUSTER: {}, ROUTES: {}})
    nothing = peer.ask_one(CLUSTER)
    peer.ask(ENDPOINTS, "a", "b")
    peer.ask(ROUTES, "a", "b")
    (routes,) = peer.publish({CLUSTER: {}, ROUTES: {"a": "1", "b": "1"}})
    (clusters,) = peer.publish({CLUSTER: {"new": "1"}, ENDPOINTS: {"new": "1"}, ROUTES: {"b": "2"}})
    peer.ack(nothing)
    peer.nack(routes, "no", "a", "b")
    peer.ack(clusters)

    assert peer.session.deadline is not None
    assert [["b"]] == [reply.names for reply in peer.let_waits_end()]
