"""Delta: only what is new to this client, and what is gone."""

from __future__ import annotations

import pytest

from support.resources import resource
from support.xds_peer import DeltaPeer, told
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from towpath.xds.messages import Ack

EVERY_TYPE = pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES])
NOT_ROUTES = pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER])
AB = {"a": "1", "b": "1"}


@EVERY_TYPE
@pytest.mark.parametrize("names", [(), ("*",)])
def test_a_wildcard_is_answered_with_everything(type_url: str, names: tuple[str, ...]) -> None:
    response = DeltaPeer({type_url: AB}).ask_one(type_url, *names)

    assert (response.contents, response.removed) == (AB, ())


@EVERY_TYPE
def test_an_empty_wildcard_gets_an_empty_first_response_and_only_one(type_url: str) -> None:
    peer = DeltaPeer({})
    response = peer.ask_one(type_url)

    assert (response.contents, response.removed) == ({}, ())
    assert response.nonce
    assert told(peer.ack(response)) == []
    assert peer.publish({}) == []


@EVERY_TYPE
def test_each_resource_has_the_version_of_its_own_content(type_url: str) -> None:
    response = DeltaPeer({type_url: AB}).ask_one(type_url)

    assert response.versions == {
        name: resource(type_url, name, content).version for name, content in AB.items()
    }


@EVERY_TYPE
def test_a_change_is_sent_alone_and_a_removal_is_said(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    peer.ack(peer.ask_one(type_url))

    (changed,) = peer.publish({type_url: {"a": "2", "b": "1", "c": "1"}})
    (gone,) = peer.publish({type_url: {"a": "2", "c": "1"}})
    (back,) = peer.publish({type_url: {"a": "2", "b": "1", "c": "1"}})

    assert (changed.contents, changed.removed) == ({"a": "2", "c": "1"}, ())
    assert (gone.contents, gone.removed) == ({}, ("b",))
    assert (back.contents, back.removed) == ({"b": "1"}, ())


@EVERY_TYPE
def test_only_what_was_named_is_sent_and_pushed(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})

    assert peer.ask_one(type_url, "a").contents == {"a": "1"}
    assert peer.publish({type_url: {"a": "1", "b": "2"}}) == []
    assert peer.ask_one(type_url, "b").contents == {"b": "2"}


@EVERY_TYPE
def test_a_subscription_to_what_the_client_has_is_answered_again(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    peer.ack(peer.ask_one(type_url, "a"))

    assert peer.ask_one(type_url, "a").contents == {"a": "1"}


@EVERY_TYPE
def test_a_name_dropped_and_added_again_is_sent_again(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    peer.ack(peer.ask_one(type_url, "a", "b"))
    assert peer.ask(type_url, unsubscribe=("a",)) == []
    assert peer.publish({type_url: {"a": "2", "b": "1"}}) == []

    assert peer.ask_one(type_url, "a").contents == {"a": "2"}


@EVERY_TYPE
def test_unsubscribing_from_what_was_never_asked_for_is_not_answered(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    peer.ack(peer.ask_one(type_url, "a"))

    assert peer.ask(type_url, unsubscribe=("stranger",)) == []


@EVERY_TYPE
def test_a_first_request_that_only_unsubscribes_is_no_wildcard(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})

    assert peer.ask(type_url, unsubscribe=("a",)) == []
    assert peer.publish({type_url: {"a": "2"}}) == []


@EVERY_TYPE
def test_empty_lists_after_the_first_request_change_nothing(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    peer.ack(peer.ask_one(type_url, "a"))

    assert peer.ask(type_url) == []
    assert peer.publish({type_url: {"a": "1", "b": "2"}}) == []


@EVERY_TYPE
def test_a_legacy_wildcard_lasts_until_it_is_unsubscribed_by_name(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    peer.ack(peer.ask_one(type_url))
    assert peer.ask_one(type_url, "a").contents == {"a": "1"}
    (still,) = peer.publish({type_url: {"a": "1", "b": "2"}})
    assert still.contents == {"b": "2"}

    assert peer.ask(type_url, unsubscribe=("*",)) == []
    assert peer.publish({type_url: {"a": "1", "b": "3"}}) == []
    (named,) = peer.publish({type_url: {"a": "3", "b": "3"}})
    assert named.contents == {"a": "3"}

    assert peer.ask(type_url, unsubscribe=("a",)) == []
    assert peer.publish({type_url: {"a": "4", "b": "4"}}) == []


@EVERY_TYPE
def test_a_wildcard_after_names_brings_what_the_client_does_not_hold(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    peer.ack(peer.ask_one(type_url, "a"))

    assert peer.ask_one(type_url, "*").contents == {"b": "1"}


@EVERY_TYPE
def test_a_wildcard_that_ends_and_begins_again_brings_everything_again(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    peer.ack(peer.ask_one(type_url, "*"))
    peer.ask(type_url, unsubscribe=("*",))

    assert peer.ask_one(type_url, "*").contents == AB


@NOT_ROUTES
def test_a_name_dropped_under_a_wildcard_is_answered_either_way(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    peer.ack(peer.ask_one(type_url, "*", "a", "missing"))

    covered = peer.ask_one(type_url, unsubscribe=("a",))
    absent = peer.ask_one(type_url, unsubscribe=("missing",))

    assert (covered.contents, covered.removed) == ({"a": "1"}, ())
    assert (absent.contents, absent.removed) == ({}, ("missing",))


@NOT_ROUTES
def test_a_name_dropped_as_the_wildcard_begins_is_answered_too(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    peer.ask(type_url, "a", "missing")

    response = peer.ask_one(type_url, "*", unsubscribe=("missing",))

    assert (response.contents, response.removed) == ({"b": "1"}, ("missing",))


@NOT_ROUTES
def test_a_name_that_does_not_exist_is_said_to_be_gone_and_is_sent_when_it_appears(
    type_url: str,
) -> None:
    peer = DeltaPeer({type_url: {"a": "1"}})

    response = peer.ask_one(type_url, "a", "late")
    assert (response.contents, response.removed) == ({"a": "1"}, ("late",))

    (appeared,) = peer.publish({type_url: {"a": "1", "late": "1"}})
    assert (appeared.contents, appeared.removed) == ({"late": "1"}, ())


def test_trap_9_routes_that_do_not_exist_yet_are_not_said_to_be_gone() -> None:
    peer = DeltaPeer({ROUTES: {"a": "1"}})

    assert peer.ask_one(ROUTES, "a", "late").removed == ()
    assert peer.ask(ROUTES, "late") == []
    (appeared,) = peer.publish({ROUTES: {"a": "1", "late": "1"}})
    assert appeared.contents == {"late": "1"}
    (gone,) = peer.publish({ROUTES: {"a": "1"}})
    assert gone.removed == ("late",)


@EVERY_TYPE
def test_names_count_even_with_a_stale_or_unknown_nonce(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    first = peer.ask_one(type_url, "a")
    peer.publish({type_url: {"a": "2", "b": "1"}})
    peer.ack(first)

    (response,) = told(peer.request(type_url, "b", nonce=first.nonce))

    assert response.contents == {"b": "1"}


@EVERY_TYPE
def test_each_response_is_acknowledged_by_its_own_nonce(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    first = peer.ask_one(type_url)
    (second,) = peer.publish({type_url: {"a": "2", "b": "1"}})

    assert peer.ack(first) == [Ack(type_url, first.version)]
    assert peer.ack(second) == [Ack(type_url, second.version)]
    assert peer.ack(second) == []
    assert peer.request(type_url, nonce="unknown") == []


def test_how_many_names_are_asked_for_is_known() -> None:
    peer = DeltaPeer({LISTENER: AB, ENDPOINTS: AB})
    peer.ask(LISTENER)
    peer.ask(ENDPOINTS, "a", "b")

    subscriptions = [peer.session.subscription(t) for t in (LISTENER, ENDPOINTS, ROUTES)]
    counts = [one and len(one.names) for one in subscriptions]

    assert counts == [0, 2, None]
