"""Delta after a reconnect: the client says what it holds, and is sent the difference."""

from __future__ import annotations

import pytest

from support.resources import resource
from support.xds_peer import DeltaPeer, told
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES

EVERY_TYPE = pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES])
AB = {"a": "1", "b": "1"}


def _versions(type_url: str, contents: dict[str, str]) -> dict[str, str]:
    return {name: resource(type_url, name, c).version for name, c in contents.items()}


@EVERY_TYPE
@pytest.mark.parametrize("names", [(), ("*",), ("a", "b")])
def test_a_client_that_holds_all_this_is_sent_nothing(
    type_url: str, names: tuple[str, ...]
) -> None:
    peer = DeltaPeer({type_url: AB})

    assert peer.ask(type_url, *names, initial=_versions(type_url, AB)) == []


@EVERY_TYPE
@pytest.mark.parametrize("names", [(), ("*",), ("a", "b", "gone")])
def test_what_differs_is_sent_and_what_is_gone_is_said(
    type_url: str, names: tuple[str, ...]
) -> None:
    peer = DeltaPeer({type_url: {"a": "1", "b": "2"}})
    held = _versions(type_url, {**AB, "gone": "1"})

    responses = [*peer.ask(type_url, *names, initial=held), *peer.let_waits_end()]

    assert {"b": "2"} == responses[0].contents
    # What used a cluster that is gone may still come back: only then, or with time, it is removed.
    assert len(responses) == (2 if type_url == CLUSTER else 1)
    assert responses[-1].removed == ("gone",)


@EVERY_TYPE
def test_what_the_client_holds_but_no_longer_names_is_not_spoken_of(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})

    assert peer.ask(type_url, "a", initial=_versions(type_url, {**AB, "gone": "1"})) == []
    assert peer.publish({type_url: {"a": "1", "b": "2"}}) == []


@EVERY_TYPE
def test_a_client_that_was_sent_nothing_gets_the_next_change_alone(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    peer.ask(type_url, initial=_versions(type_url, AB))

    (response,) = peer.publish({type_url: {"a": "2", "b": "1"}})

    assert response.contents == {"a": "2"}


@EVERY_TYPE
def test_a_client_that_lost_everything_names_nothing_that_it_holds(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})

    assert peer.ask_one(type_url, "a").contents == {"a": "1"}


def test_endpoints_asked_for_before_a_changed_cluster_come_again_behind_it() -> None:
    peer = DeltaPeer({CLUSTER: {"a": "2", "b": "1"}, ENDPOINTS: AB})
    assert peer.ask(ENDPOINTS, "a", "b", initial=_versions(ENDPOINTS, AB)) == []

    clusters, endpoints = peer.ask(CLUSTER, initial=_versions(CLUSTER, AB))

    assert (clusters.contents, endpoints.contents) == ({"a": "2"}, {"a": "1"})


def test_endpoints_asked_for_behind_a_changed_cluster_come_although_the_client_holds_them() -> None:
    peer = DeltaPeer({CLUSTER: {"a": "2", "b": "1"}, ENDPOINTS: AB})
    peer.ask(CLUSTER, initial=_versions(CLUSTER, AB))

    (endpoints,) = peer.ask(ENDPOINTS, "a", "b", initial=_versions(ENDPOINTS, AB))

    assert endpoints.contents == {"a": "1"}


@EVERY_TYPE
def test_what_a_client_brings_in_thousands_is_looked_at_in_parts(type_url: str) -> None:
    peer = DeltaPeer({type_url: AB})
    gone = {f"gone-{number}": "1" for number in range(3_500)}

    steps = [peer.ask(type_url, initial={**_versions(type_url, AB), **gone})]
    while peer.session.deadline is not None:
        peer.clock.now = max(peer.clock.now, peer.session.deadline)
        steps.append(told(peer.session.on_time()))

    removed = [response.removed for step in steps for response in step]
    assert [1_000, 1_000, 1_000, 500] == [len(names) for names in removed]
    assert gone.keys() == {name for names in removed for name in names}
    assert all(not response.contents for step in steps for response in step)


def test_what_was_left_for_later_is_sent_if_it_is_there_by_then() -> None:
    peer = DeltaPeer({ROUTES: AB})
    peer.ask(ROUTES, initial=dict.fromkeys((f"gone-{n:04}" for n in range(1_500)), "1"))
    peer.publish({ROUTES: {**AB, "gone-1499": "2"}})

    (rest,) = told(peer.session.on_time())

    assert "gone-1499" not in rest.removed
    assert 499 == len(rest.removed)
