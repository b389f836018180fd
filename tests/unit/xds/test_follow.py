"""Trap 4: a cluster that is new or changed warms until an endpoints response comes behind it."""

from __future__ import annotations

import pytest

from support.xds_peer import DeltaPeer, SotwPeer
from towpath.model.types import CLUSTER, ENDPOINTS

Peer = SotwPeer | DeltaPeer
BOTH = pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
AB = {"a": "1", "b": "1"}


def _served(variant: type[Peer]) -> Peer:
    """A client that holds clusters a and b, and the endpoints of both."""
    peer = variant({CLUSTER: AB, ENDPOINTS: AB})
    for response in (peer.ask_one(CLUSTER), peer.ask_one(ENDPOINTS, "a", "b")):
        names = ("a", "b") if response.type_url == ENDPOINTS else ()
        if isinstance(peer, SotwPeer):
            peer.ack(response, *names)
        else:
            peer.ack(response)
    return peer


@BOTH
def test_trap_4_endpoints_are_sent_again_behind_a_changed_cluster(variant: type[Peer]) -> None:
    clusters, endpoints = _served(variant).publish({CLUSTER: {**AB, "a": "2"}, ENDPOINTS: AB})

    assert (clusters.type_url, endpoints.type_url) == (CLUSTER, ENDPOINTS)
    assert clusters.contents["a"] == "2"
    assert endpoints.contents == {"a": "1"}


@BOTH
def test_trap_4_endpoints_that_changed_with_their_cluster_are_sent_once(
    variant: type[Peer],
) -> None:
    _, endpoints = _served(variant).publish(
        {CLUSTER: {**AB, "a": "2"}, ENDPOINTS: {**AB, "a": "2"}}
    )

    assert endpoints.contents == {"a": "2"}


@BOTH
def test_trap_4_a_cluster_removed_and_added_again_has_its_endpoints_sent_again(
    variant: type[Peer],
) -> None:
    peer = _served(variant)
    peer.publish({CLUSTER: {"b": "1"}, ENDPOINTS: {"b": "1"}})

    responses = peer.publish({CLUSTER: AB, ENDPOINTS: AB})

    assert [r.type_url for r in responses] == [CLUSTER, ENDPOINTS]
    assert responses[1].contents == {"a": "1"}


@BOTH
def test_endpoints_alone_are_sent_alone(variant: type[Peer]) -> None:
    (only,) = _served(variant).publish({CLUSTER: AB, ENDPOINTS: {**AB, "b": "2"}})

    assert (only.type_url, only.contents) == (ENDPOINTS, {"b": "2"})


@BOTH
def test_a_removed_cluster_is_followed_by_no_endpoints(variant: type[Peer]) -> None:
    (only,) = _served(variant).publish({CLUSTER: {"b": "1"}, ENDPOINTS: AB})

    assert only.type_url == CLUSTER


@BOTH
def test_a_new_cluster_whose_endpoints_nobody_asked_for_is_followed_by_none(
    variant: type[Peer],
) -> None:
    (only,) = _served(variant).publish({CLUSTER: {**AB, "c": "1"}, ENDPOINTS: {**AB, "c": "1"}})

    assert only.type_url == CLUSTER


def test_clusters_without_endpoints_are_not_said_to_have_lost_them() -> None:
    """Passthrough's cluster never had any; a client may ask for all endpoints there are."""
    peer = DeltaPeer({CLUSTER: {"a": "1", "passthrough": "1"}, ENDPOINTS: {"a": "1"}})
    peer.ask_one(ENDPOINTS)

    _, endpoints = peer.ask(CLUSTER)

    assert (endpoints.contents, endpoints.removed) == ({"a": "1"}, ())
