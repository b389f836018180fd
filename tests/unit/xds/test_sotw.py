"""State of the world: what is asked for, what is sent, and when nothing is."""

from __future__ import annotations

import pytest

from support.resources import resource
from support.xds_peer import SotwPeer, told
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from towpath.xds.messages import Ack

FULL_STATE = pytest.mark.parametrize("type_url", [CLUSTER, LISTENER])
NAMED = pytest.mark.parametrize("type_url", [ENDPOINTS, ROUTES])
AB = {"a": "1", "b": "1"}


@FULL_STATE
@pytest.mark.parametrize("names", [(), ("*",)])
def test_a_wildcard_is_answered_with_everything(type_url: str, names: tuple[str, ...]) -> None:
    peer = SotwPeer({type_url: AB})

    assert peer.ask_one(type_url, *names).contents == AB


@FULL_STATE
def test_an_empty_wildcard_gets_an_empty_first_response(type_url: str) -> None:
    response = SotwPeer({}).ask_one(type_url)

    assert response.contents == {}
    assert response.nonce
    assert response.version


@FULL_STATE
def test_every_change_under_a_wildcard_is_all_of_the_state(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})
    first = peer.ask_one(type_url)
    peer.ack(first)

    (second,) = peer.publish({type_url: {**AB, "b": "2", "c": "1"}})
    (third,) = peer.publish({type_url: {"c": "1"}})
    (fourth,) = peer.publish({})

    assert second.contents == {"a": "1", "b": "2", "c": "1"}
    assert third.contents == {"c": "1"}
    assert fourth.contents == {}
    assert len({r.version for r in (first, second, third, fourth)}) == 4


@FULL_STATE
def test_a_subset_is_all_of_what_was_named(type_url: str) -> None:
    peer = SotwPeer({type_url: {**AB, "c": "1"}})
    first = peer.ask_one(type_url, "a", "b", "missing")
    assert first.contents == AB
    peer.ack(first, "a", "b", "missing")

    assert peer.publish({type_url: {**AB, "c": "2"}}) == []
    (second,) = peer.publish({type_url: {**AB, "missing": "1", "c": "2"}})

    assert second.contents == {**AB, "missing": "1"}


@FULL_STATE
def test_a_wildcard_with_a_name_ends_when_only_the_name_is_left(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})
    response = peer.ask_one(type_url, "*", "a")
    assert response.contents == AB

    (only,) = told(peer.ack(response, "a"))

    assert only.contents == {"a": "1"}
    assert peer.publish({type_url: {"a": "1", "b": "2"}}) == []


@FULL_STATE
def test_a_legacy_wildcard_ends_with_the_first_name_and_never_comes_back(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})
    response = peer.ask_one(type_url)

    (named,) = told(peer.ack(response, "a"))
    assert named.contents == {"a": "1"}

    assert told(peer.ack(named)) == []
    assert peer.publish({type_url: {"a": "2", "b": "2"}}) == []


@FULL_STATE
def test_an_empty_list_after_a_wildcard_by_name_means_nothing(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})
    response = peer.ask_one(type_url, "*")

    assert told(peer.ack(response)) == []
    assert peer.publish({type_url: {"a": "2", "b": "2"}}) == []


@NAMED
def test_a_type_without_wildcards_answers_an_empty_first_request_with_nothing(
    type_url: str,
) -> None:
    peer = SotwPeer({type_url: AB})

    assert peer.ask(type_url) == []
    assert peer.publish({type_url: {"a": "2"}}) == []


@NAMED
def test_named_resources_come_alone_and_later_only_what_changed(type_url: str) -> None:
    peer = SotwPeer({type_url: {**AB, "c": "1"}})
    response = peer.ask_one(type_url, "a", "b")
    assert response.contents == AB
    peer.ack(response, "a", "b")

    (changed,) = peer.publish({type_url: {"a": "1", "b": "2", "c": "2"}})

    assert changed.contents == {"b": "2"}
    assert changed.version != response.version


@NAMED
def test_a_name_that_does_not_exist_yet_is_sent_when_it_appears(type_url: str) -> None:
    peer = SotwPeer({type_url: {"a": "1"}})
    assert peer.ask(type_url, "late") == []

    (response,) = peer.publish({type_url: {"a": "1", "late": "1"}})

    assert response.contents == {"late": "1"}


@NAMED
def test_a_second_request_before_any_response_is_not_lost(type_url: str) -> None:
    peer = SotwPeer({type_url: {"a": "1"}})
    peer.ask(type_url, "late", nonce="of an earlier stream")

    (response,) = peer.ask(type_url, "late", "a", nonce="of an earlier stream")

    assert response.contents == {"a": "1"}


@NAMED
def test_a_removed_resource_is_not_spoken_of(type_url: str) -> None:
    """An empty response would be read as no change; the parent's removal takes it away."""
    peer = SotwPeer({type_url: AB})
    peer.ack(peer.ask_one(type_url, "a", "b"), "a", "b")

    assert peer.publish({type_url: {"a": "1"}}) == []


@NAMED
def test_a_name_added_is_sent_although_nothing_changed(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})
    response = peer.ask_one(type_url, "a")

    (added,) = told(peer.ack(response, "a", "b"))

    assert added.contents == {"b": "1"}


@NAMED
def test_a_name_dropped_and_added_again_is_sent_again(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})
    response = peer.ask_one(type_url, "a", "b")
    assert told(peer.ack(response, "b")) == []

    (again,) = peer.ask(type_url, "a", "b", nonce=response.nonce)

    assert again.contents == {"a": "1"}


@NAMED
def test_a_dropped_name_is_no_longer_pushed(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})
    peer.ack(peer.ask_one(type_url, "a", "b"), "b")

    (pushed,) = peer.publish({type_url: {"a": "2", "b": "2"}})

    assert pushed.contents == {"b": "2"}


@pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES])
def test_an_acknowledgement_is_noted_and_not_answered(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})
    response = peer.ask_one(type_url, "a")

    assert peer.ack(response, "a") == [Ack(type_url, response.version)]
    assert peer.ack(response, "a") == []


@pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES])
def test_a_stale_nonce_is_neither_answered_nor_taken_for_an_answer(type_url: str) -> None:
    peer = SotwPeer({type_url: AB})
    stale = peer.ask_one(type_url, "a")
    (newer,) = peer.publish({type_url: {"a": "2", "b": "1"}})

    assert peer.ack(stale, "a") == []
    assert peer.nack(stale, "no", "a", "b") == []
    assert peer.ack(newer, "a") == [Ack(type_url, newer.version)]


@pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES])
def test_a_name_added_while_a_push_was_under_way_is_delivered(type_url: str) -> None:
    """The client says its names again when it answers the newer response."""
    peer = SotwPeer({type_url: AB})
    stale = peer.ask_one(type_url, "a")
    (newer,) = peer.publish({type_url: {"a": "2", "b": "1"}})
    assert peer.ack(stale, "a", "b") == []

    (response,) = told(peer.ack(newer, "a", "b"))

    assert response.contents["b"] == "1"


@NAMED
def test_a_name_dropped_and_added_again_while_a_push_was_under_way_is_sent_again(
    type_url: str,
) -> None:
    peer = SotwPeer({type_url: AB})
    stale = peer.ask_one(type_url, "a", "b")
    (newer,) = peer.publish({type_url: {"a": "1", "b": "2"}})
    assert peer.ack(stale, "b") == []
    assert peer.ack(stale, "a", "b") == []

    (response,) = told(peer.ack(newer, "a", "b"))

    assert response.contents == {"a": "1"}


@pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES])
def test_a_snapshot_that_changes_nothing_of_a_type_says_nothing(type_url: str) -> None:
    other = ROUTES if type_url == LISTENER else LISTENER
    peer = SotwPeer({type_url: AB, other: {"x": "1"}})
    peer.ack(peer.ask_one(type_url, "a", "b"), "a", "b")

    assert peer.publish({type_url: AB, other: {"x": "2"}}) == []


def test_the_version_is_the_content_seen_by_the_client_and_nothing_else() -> None:
    whole = SotwPeer({LISTENER: {**AB, "c": "1"}}).ask_one(LISTENER, "a", "b")
    same = SotwPeer({LISTENER: {**AB, "c": "2"}}).ask_one(LISTENER, "b", "a")
    other = SotwPeer({LISTENER: {"a": "2", "b": "1"}}).ask_one(LISTENER, "a", "b")

    assert whole.version == same.version
    assert whole.version != other.version


def test_a_resource_is_sent_as_the_bytes_that_were_encoded() -> None:
    peer = SotwPeer({LISTENER: {"a": "1"}})

    (event,) = peer.request(LISTENER)

    assert resource(LISTENER, "a", "1").packed in event.body  # type: ignore[union-attr]


def test_how_many_names_are_asked_for_is_known() -> None:
    peer = SotwPeer({LISTENER: AB, ENDPOINTS: AB})
    peer.ask(LISTENER)
    peer.ask(ENDPOINTS, "a", "b")

    subscriptions = [peer.session.subscription(t) for t in (LISTENER, ENDPOINTS, ROUTES)]
    counts = [one and len(one.names) for one in subscriptions]

    assert counts == [0, 2, None]
