"""Secrets on a stream: before what they are for, never taken away from who asks for them, and never
replaced by anything else than what was accepted last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from support.resources import FakeVocabulary, old, resource, snapshot
from support.xds.told import Told
from support.xds_peer import DeltaPeer, SotwPeer, told
from towpath.model.snapshot import Resource, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, SECRET
from towpath.xds.messages import Nack

VARIANTS = pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
Peer = SotwPeer | DeltaPeer
NAMES = {SECRET: ("trust",), CLUSTER: (), ENDPOINTS: ("web",), LISTENER: ()}
ENVOY = FakeVocabulary(intersection=old, kept=frozenset({SECRET}))


def _snapshot(trust: str | None = "a", endpoints: str = "1", **more: str) -> Snapshot:
    secrets = {} if trust is None else {"trust": trust}
    contents = {
        SECRET: {**secrets, **more},
        CLUSTER: {"web": "1"},
        ENDPOINTS: {"web": endpoints},
        LISTENER: {"out": "1"},
    }
    return replace(snapshot(contents), vocabulary=ENVOY)


def _ack(peer: Peer, response: Told[str]) -> list[Told[str]]:
    restated = NAMES[response.type_url] if isinstance(peer, SotwPeer) else ()
    if isinstance(peer, SotwPeer):
        return told(peer.ack(response, *restated))
    return told(peer.ack(response))


def _settled(variant: type[SotwPeer] | type[DeltaPeer], sent: Snapshot) -> Peer:
    """A client that holds all of it."""
    peer = variant(sent)
    waiting = [response for t in NAMES for response in peer.ask(t, *NAMES[t])]
    while waiting:
        waiting += _ack(peer, waiting.pop(0))
    return peer


def _contents(responses: list[Told[str]]) -> list[tuple[str, Mapping[str, str]]]:
    return [(response.type_url, response.contents) for response in responses]


@VARIANTS
def test_endpoints_wait_until_the_client_trusts_who_answers_there(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    peer = _settled(variant, _snapshot())

    (first,) = peer.publish(_snapshot("a|b", endpoints="1|2"))
    assert (SECRET, {"trust": "a|b"}) == (first.type_url, first.contents)
    assert [(ENDPOINTS, {"web": "1|2"})] == _contents(_ack(peer, first))


@VARIANTS
def test_endpoints_alone_wait_for_nothing(variant: type[SotwPeer] | type[DeltaPeer]) -> None:
    peer = _settled(variant, _snapshot())

    assert [(ENDPOINTS, {"web": "2"})] == _contents(peer.publish(_snapshot(endpoints="2")))


@VARIANTS
def test_a_client_that_does_not_answer_is_not_waited_for_without_an_end(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    peer = _settled(variant, _snapshot())

    peer.publish(_snapshot("a|b", endpoints="1|2"))
    assert [(ENDPOINTS, {"web": "1|2"})] == _contents(peer.let_waits_end())


@VARIANTS
def test_endpoints_that_are_gone_go_at_once(variant: type[SotwPeer] | type[DeltaPeer]) -> None:
    def fewer(before: Resource, _: Resource) -> Resource:
        return resource(ENDPOINTS, "web", "1") if before.type_url == ENDPOINTS else before

    vocabulary = replace(ENVOY, intersection=fewer)
    peer = _settled(variant, replace(_snapshot(endpoints="1|2"), vocabulary=vocabulary))

    told_ = peer.publish(replace(_snapshot("a|b", endpoints="1|3"), vocabulary=vocabulary))
    assert {SECRET: {"trust": "a|b"}, ENDPOINTS: {"web": "1"}} == dict(_contents(told_))
    rest = [response for one in told_ for response in _ack(peer, one)]
    assert [(ENDPOINTS, {"web": "1|3"})] == _contents(rest)


@VARIANTS
def test_check_47_what_was_accepted_before_a_rejected_secret_is_sent_again_and_stays(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    peer = _settled(variant, _snapshot())
    (first,) = peer.publish(_snapshot("bad", endpoints="1|2"))

    restated = NAMES[SECRET] if isinstance(peer, SotwPeer) else ()
    (again,) = told(peer.nack(first, "trust: no such certificate", *restated))
    assert (SECRET, {"trust": "a"}) == (again.type_url, again.contents)
    assert [(ENDPOINTS, {"web": "1|2"})] == _contents(_ack(peer, again))
    assert [] == peer.publish(_snapshot("bad", endpoints="1|2"))
    assert (SECRET, {"trust": "good"}) in _contents(peer.publish(_snapshot("good", "1|2")))


@VARIANTS
def test_what_a_client_has_accepted_is_not_what_it_was_sent_last(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    peer = _settled(variant, _snapshot())
    assert resource(SECRET, "trust", "a") == peer.session.accepted(SECRET, "trust")

    (first,) = peer.publish(_snapshot("b"))
    assert resource(SECRET, "trust", "a") == peer.session.accepted(SECRET, "trust")
    _ack(peer, first)
    assert resource(SECRET, "trust", "b") == peer.session.accepted(SECRET, "trust")

    (bad,) = peer.publish(_snapshot("bad"))
    peer.nack(bad, "trust: no", *(NAMES[SECRET] if isinstance(peer, SotwPeer) else ()))
    assert resource(SECRET, "trust", "b") == peer.session.accepted(SECRET, "trust")
    assert peer.session.accepted(SECRET, "other") is None


def test_check_47_nor_is_it_taken_from_a_client_that_has_come_back() -> None:
    peer = _settled(DeltaPeer, _snapshot())
    assert isinstance(peer, DeltaPeer)
    (first,) = peer.publish(_snapshot("bad"))
    peer.nack(first, "trust: no")
    version = resource(SECRET, "trust", "a").version

    again = DeltaPeer(_snapshot("bad"), peer.client)
    assert [] == again.ask(SECRET, "trust", initial={"trust": version})


@VARIANTS
def test_a_secret_that_is_gone_stays_with_who_asks_for_it(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    peer = _settled(variant, _snapshot(other="1"))

    assert [] == peer.publish(_snapshot(None))
    assert [] == peer.publish(_snapshot("a"))


def test_nor_is_it_taken_from_a_client_that_has_come_back() -> None:
    version = resource(SECRET, "trust", "a").version
    peer = DeltaPeer(_snapshot(None))

    assert [] == peer.ask(SECRET, "trust", initial={"trust": version})
    assert [(SECRET, {"trust": "b"})] == _contents(peer.publish(_snapshot("b")))


@VARIANTS
def test_what_a_client_says_of_a_secret_is_noted_without_any_part_of_a_key(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    lines = "QWxhZGRpbg" * 6, "c2hvcnQ="
    key = "\n".join(("-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"))
    cut = "b3BlbiBzZXNhbWU" * 4
    peer = _settled(variant, _snapshot())
    (first,) = peer.publish(_snapshot("bad"))

    restated = NAMES[SECRET] if isinstance(peer, SotwPeer) else ()
    nack, *_ = peer.nack(first, f"trust: {{{key}}} {cut} does not match", *restated)

    expected = "trust: {[left out]} [left out] does not match"
    assert isinstance(nack, Nack)
    assert expected == nack.message
    assert [expected] == [one.text for one in peer.client.rejections.values()]
