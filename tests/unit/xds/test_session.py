"""Rules of every stream, whichever variant: who speaks, of which type, and in which order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.resources import snapshot
from support.xds_peer import NODE, DeltaPeer, SotwPeer, delta_session, sotw_session
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from towpath.xds.messages import DeltaRequest, Event, Node, ProtocolError, SotwRequest

Say = Callable[[str, Node | None], list[Event]]
ALL = {type_url: {"a": "1"} for type_url in (CLUSTER, ENDPOINTS, LISTENER, ROUTES)}


def _sotw() -> Say:
    session = sotw_session()
    session.on_snapshot(snapshot(ALL))
    return lambda type_url, node: session.on_request(SotwRequest(type_url, node=node))


def _delta() -> Say:
    session = delta_session()
    session.on_snapshot(snapshot(ALL))
    return lambda type_url, node: session.on_request(DeltaRequest(type_url, node=node))


@pytest.fixture(params=[_sotw, _delta])
def say(request: pytest.FixtureRequest) -> Say:
    made: Say = request.param()
    return made


@pytest.mark.parametrize("node", [None, Node(id="", user_agent="envoy")])
def test_the_first_request_must_say_who_speaks(say: Say, node: Node | None) -> None:
    with pytest.raises(ProtocolError, match="must have a node with an id"):
        say(LISTENER, node)


@pytest.mark.parametrize("node", [None, NODE, Node(id="", user_agent="")])
def test_later_requests_may_say_it_again_or_not(say: Say, node: Node | None) -> None:
    say(LISTENER, NODE)

    assert say(CLUSTER, node)


def test_nobody_may_become_somebody_else(say: Say) -> None:
    say(LISTENER, NODE)

    with pytest.raises(ProtocolError, match=r"'thief\.shop' differs from 'curl\.shop'"):
        say(CLUSTER, Node(id="thief.shop", user_agent="envoy"))


def test_a_request_without_a_type_breaks_the_protocol(say: Say) -> None:
    with pytest.raises(ProtocolError, match="must have a type_url"):
        say("", NODE)


def test_a_type_that_is_not_served_is_not_answered_and_the_stream_goes_on(say: Say) -> None:
    assert say("type.googleapis.com/envoy.service.runtime.v3.Runtime", NODE) == []
    assert say(LISTENER, None)


@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_nonces_are_never_used_twice_whatever_the_type(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    peer = variant(ALL)
    nonces = [r.nonce for type_url in ALL for r in peer.ask(type_url, "a")]
    for content in "23":
        changed = peer.publish({type_url: {"a": content} for type_url in ALL})
        changed += peer.let_waits_end()
        nonces += [r.nonce for r in changed]

    assert len(nonces) >= 3 * len(ALL)
    assert len(nonces) == len(set(nonces))
    assert all(nonces)


@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_a_nonce_of_one_type_is_no_answer_for_another(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    peer = variant(ALL)
    (of_clusters,) = peer.ask(CLUSTER)
    peer.ask(LISTENER)

    assert peer.request(LISTENER, nonce=of_clusters.nonce, error="no") == []
    assert not peer.client.rejections


@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_a_change_is_sent_clusters_and_endpoints_first(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    peer = variant(ALL)
    for type_url in (ROUTES, LISTENER, ENDPOINTS, CLUSTER):
        peer.ask(type_url, "a")

    changed = peer.publish({type_url: {"a": "2"} for type_url in ALL})
    changed += peer.let_waits_end()

    assert [r.type_url for r in changed] == [CLUSTER, ENDPOINTS, LISTENER, ROUTES]


@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_nothing_is_sent_of_a_type_that_was_not_asked_for(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    peer = variant(ALL)
    peer.ask(CLUSTER)

    changed = peer.publish({type_url: {"a": "2"} for type_url in ALL})

    assert [r.type_url for r in changed] == [CLUSTER]
