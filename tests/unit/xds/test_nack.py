"""A rejection is remembered, stops at what caused it, and is never provoked twice."""

from __future__ import annotations

import pytest

from support.resources import FakeVocabulary, old, resource, snapshot
from support.xds_peer import DeltaPeer, SotwPeer, told
from towpath.model.snapshot import Resource, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SIDECAR
from towpath.rollout.content import content
from towpath.xds.messages import Ack, Nack

EVERY_TYPE = pytest.mark.parametrize("type_url", [CLUSTER, ENDPOINTS, LISTENER, ROUTES])
FULL_STATE = pytest.mark.parametrize("type_url", [CLUSTER, LISTENER])
NAMED = pytest.mark.parametrize("type_url", [ENDPOINTS, ROUTES])
AB = {"a": "1", "b": "1"}


@EVERY_TYPE
@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_a_rejection_is_told_with_its_text_and_what_it_names(
    variant: type[SotwPeer] | type[DeltaPeer], type_url: str
) -> None:
    peer = variant({type_url: {"shop/web|80": "1", "shop/web|81": "1"}})
    (response,) = peer.ask(type_url, "shop/web|80", "shop/web|81")

    events = peer.nack(response, "shop/web|81: no such thing", "shop/web|80", "shop/web|81")

    text = "shop/web|81: no such thing"
    assert events[0] == Nack(type_url, response.version, text, ("shop/web|81",))


@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_what_stands_in_is_chosen_anew_when_other_words_may_be_said(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    """A chain that asked nobody stays while the rejected one would let in anyone, and no longer."""

    def saying(content: str, *, common: bool) -> Snapshot:
        words = FakeVocabulary(closed=_closed, intersection=old if common else _nothing)
        return Snapshot(snapshot({LISTENER: {"in": content}}).sets, words)

    peer = variant(saying("tcp", common=True))
    peer.ack(peer.ask_one(LISTENER, "in"), *_same(peer, ("in",)))
    [http] = peer.publish(saying("http", common=True))
    kept = told(peer.nack(http, "in: no", *_same(peer, ("in",))))
    for response in kept:
        peer.ack(response, *_same(peer, ("in",)))

    [closed] = peer.publish(saying("http", common=False))
    assert closed.contents == {"in": "closed"}


@EVERY_TYPE
@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_a_rejection_that_names_nothing_is_searched_for_its_cause(
    variant: type[SotwPeer] | type[DeltaPeer], type_url: str
) -> None:
    peer = variant({type_url: {"a": "1", "b": "bad"}})
    (response,) = peer.ask(type_url, "a", "b")
    restated = _same(peer, ("a", "b"))

    nack, *replies = peer.nack(response, "no", *restated)
    assert nack == Nack(type_url, response.version, "no", ())
    (half,) = told(replies)
    assert half.contents == {"a": "1"}
    ack, *replies = peer.request(type_url, *restated, nonce=half.nonce)
    assert ack == Ack(type_url, half.version)
    (other,) = told(replies)
    assert other.contents["b"] == "bad"

    (nack, *replies) = peer.nack(other, "no", *restated)
    assert nack == Nack(type_url, other.version, "no", ("b",))
    assert told(replies) == []
    assert peer.publish({type_url: {"a": "1", "b": "bad"}}) == []


@EVERY_TYPE
def test_sotw_never_sends_rejected_content_again_until_it_changes(type_url: str) -> None:
    peer = SotwPeer({type_url: {"a": "bad"}})
    response = peer.ask_one(type_url, "a")
    assert told(peer.nack(response, "no", "a")) == []

    assert peer.publish({type_url: {"a": "bad"}}) == []
    assert peer.publish({type_url: {"a": "bad"}, "other": {"x": "1"}}) == []
    (better,) = peer.publish({type_url: {"a": "good"}})
    assert better.contents == {"a": "good"}
    assert peer.ack(better, "a") == [Ack(type_url, better.version)]
    assert peer.publish({type_url: {"a": "bad"}}) == []


@EVERY_TYPE
def test_delta_never_sends_rejected_content_again_until_it_changes(type_url: str) -> None:
    peer = DeltaPeer({type_url: {"a": "bad", "b": "1"}})
    response = peer.ask_one(type_url, "a")
    assert told(peer.nack(response, "no")) == []

    assert peer.publish({type_url: {"a": "bad", "b": "2"}}) == []
    assert peer.ask(type_url, "a") == []
    (better,) = peer.publish({type_url: {"a": "good", "b": "2"}})
    assert better.contents == {"a": "good"}
    assert peer.ack(better) == [Ack(type_url, better.version)]
    assert peer.publish({type_url: {"a": "bad", "b": "2"}}) == []


@NAMED
def test_delta_what_comes_beside_what_an_earlier_response_had_too_is_not_blamed(
    type_url: str,
) -> None:
    peer = DeltaPeer({type_url: {"a": "bad", "b": "1"}})
    first = peer.ask_one(type_url, "a")
    second = peer.ask_one(type_url, "a", "b")
    assert {"a": "bad", "b": "1"} == second.contents

    assert [] == told(peer.nack(first, "a: no"))
    [again] = told(peer.nack(second, "a: no"))

    assert {"b": "1"} == again.contents
    assert [Ack(type_url, again.version)] == peer.ack(again)


@NAMED
def test_sotw_what_comes_beside_what_an_earlier_response_had_too_is_not_blamed(
    type_url: str,
) -> None:
    peer = SotwPeer({type_url: {"a": "bad", "b": "1", "c": "1"}})
    first = peer.ask_one(type_url, "a", "b")
    [second] = peer.publish({type_url: {"a": "bad", "b": "2", "c": "1"}})
    third = peer.ask_one(type_url, "a", "b", "c")
    assert {"a": "bad", "b": "2", "c": "1"} == third.contents

    peer.nack(first, "a: no", "a", "b", "c")
    peer.ack(second, "a", "b", "c")
    [again] = told(peer.nack(third, "a: no", "a", "b", "c"))

    assert "1" == again.contents["c"]


@FULL_STATE
def test_sotw_what_a_client_had_before_goes_though_it_rejects_what_takes_its_place(
    type_url: str,
) -> None:
    """What it holds from before this stream is not known, and may allow more."""
    peer = SotwPeer({type_url: {"a": "bad", "b": "1"}})
    response = peer.ask_one(type_url, version="of another server")

    [again] = told(peer.nack(response, "a: no"))

    assert {"b": "1"} == again.contents
    assert [Ack(type_url, again.version)] == peer.ack(again)


@EVERY_TYPE
@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_when_a_rejection_is_forgotten_all_that_was_in_its_response_is_sent_again(
    variant: type[SotwPeer] | type[DeltaPeer], type_url: str
) -> None:
    peer = variant({type_url: {"a": "1", "b": "1"}})
    restated = _same(peer, ("a", "b"))
    peer.ack(peer.ask_one(type_url, "a", "b"), *restated)
    [rejected] = peer.publish({type_url: {"a": "bad", "b": "2"}})
    for response in told(peer.nack(rejected, "a: no", *restated)):
        peer.ack(response, *restated)
    for response in peer.publish({type_url: {"a": "1", "b": "1"}}):
        peer.ack(response, *restated)
    peer.client.retire()

    [again] = peer.publish({type_url: {"a": "bad", "b": "2"}})

    assert {"a": "bad", "b": "2"} == again.contents


@EVERY_TYPE
@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_what_stood_in_and_was_rejected_too_is_not_sent_again_with_the_next_change(
    variant: type[SotwPeer] | type[DeltaPeer], type_url: str
) -> None:
    """It is in no snapshot, so that it looks as if it were gone."""
    sets = snapshot({type_url: {"a": "bad", "b": "1"}}).sets
    peer = variant(Snapshot(sets, FakeVocabulary(closed=_closed)))
    _hold(peer)
    restated = _same(peer, ("a", "b"))
    [rejected] = peer.ask(type_url, "a", "b")
    while responses := told(peer.nack(rejected, "a: no", *restated)):
        [rejected] = responses
        if "a" not in rejected.contents:
            peer.ack(rejected, *restated)
            break

    sets = snapshot({type_url: {"a": "bad", "b": "2"}}).sets
    told_next = peer.publish(Snapshot(sets, FakeVocabulary(closed=_closed)))
    _hold(peer)
    peer.client.retire()
    told_next += peer.publish(Snapshot(sets, FakeVocabulary(closed=_closed)))

    assert {"b": "2"} == {n: c for one in told_next for n, c in one.contents.items()}


@FULL_STATE
@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_a_client_that_starts_anew_gets_what_it_rejected_before_that_was_forgotten(
    variant: type[SotwPeer] | type[DeltaPeer], type_url: str
) -> None:
    contents = {type_url: {"a": "bad", "b": "1"}}
    earlier = variant(contents)
    earlier.nack(earlier.ask_one(type_url), "a: no")
    earlier.client.retire()

    assert contents[type_url] == variant(contents, earlier.client).ask_one(type_url).contents


@EVERY_TYPE
@pytest.mark.parametrize("names", [(), ("a",)])
def test_sotw_never_sends_rejected_content_to_a_client_that_reconnects(
    type_url: str, names: tuple[str, ...]
) -> None:
    earlier = SotwPeer({type_url: {"a": "bad"}})
    for response in earlier.ask(type_url, *names):
        earlier.nack(response, "no", *names)

    peer = SotwPeer({type_url: {"a": "bad"}}, earlier.client)

    assert all(response.contents == {} for response in peer.ask(type_url, *names))
    assert bool(names or type_url in (CLUSTER, LISTENER)) == bool(
        peer.publish({type_url: {"a": "good"}})
    )


@EVERY_TYPE
def test_delta_never_sends_rejected_content_to_a_client_that_reconnects(type_url: str) -> None:
    earlier = DeltaPeer({type_url: {"a": "bad", "b": "1"}})
    earlier.nack(earlier.ask_one(type_url, "a"), "no")

    peer = DeltaPeer({type_url: {"a": "bad", "b": "1"}}, earlier.client)

    assert peer.ask_one(type_url, "a", "b").contents == {"b": "1"}
    (better,) = peer.publish({type_url: {"a": "good", "b": "1"}})
    assert better.contents == {"a": "good"}


@EVERY_TYPE
def test_another_client_is_sent_what_one_has_rejected(type_url: str) -> None:
    one = SotwPeer({type_url: {"a": "bad"}})
    one.nack(one.ask_one(type_url, "a"), "no", "a")

    assert SotwPeer({type_url: {"a": "bad"}}).ask_one(type_url, "a").contents == {"a": "bad"}


@EVERY_TYPE
def test_sotw_takes_the_names_of_a_rejection(type_url: str) -> None:
    peer = SotwPeer({type_url: {"a": "bad", "b": "1", "c": "1"}})
    response = peer.ask_one(type_url, "a")

    nack, reply = peer.nack(response, "no", "b", "c")

    assert nack == Nack(type_url, response.version, "no", ("a",))
    assert told([reply])[0].contents == {"b": "1", "c": "1"}


@EVERY_TYPE
def test_delta_takes_the_names_of_a_rejection(type_url: str) -> None:
    peer = DeltaPeer({type_url: {"a": "bad", "b": "1"}})
    response = peer.ask_one(type_url, "a")

    nack, reply = peer.nack(response, "no", "b")

    assert nack == Nack(type_url, response.version, "no", ("a",))
    assert told([reply])[0].contents == {"b": "1"}


@FULL_STATE
def test_sotw_full_state_goes_on_without_what_was_rejected(type_url: str) -> None:
    peer = SotwPeer({type_url: {"a": "1", "b": "1"}})
    peer.ack(peer.ask_one(type_url))
    (bad,) = peer.publish({type_url: {"a": "bad", "b": "2"}})
    assert told(peer.nack(bad, "a: no")) == []

    assert peer.publish({type_url: {"a": "bad", "b": "2"}}) == []
    (next_one,) = peer.publish({type_url: {"a": "bad", "b": "3"}})

    assert next_one.contents == {"a": "1", "b": "3"}  # what it holds of the bad one stays


@NAMED
@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_what_came_with_a_rejected_resource_is_sent_again_without_it(
    variant: type[SotwPeer] | type[DeltaPeer], type_url: str
) -> None:
    """One bad route configuration keeps Envoy from applying those beside it."""
    names = ("bad-one", "b", "c")
    peer = variant({type_url: dict.fromkeys(names, "1")})
    (response,) = peer.ask(type_url, *names)

    nack, reply = peer.nack(response, "bad-one is bad", *(names if variant is SotwPeer else ()))

    assert nack == Nack(type_url, response.version, "bad-one is bad", ("bad-one",))
    (again,) = told([reply])
    assert again.contents == {"b": "1", "c": "1"}
    assert told(peer.request(type_url, *_same(peer, names), nonce=again.nonce)) == []


@EVERY_TYPE
def test_delta_notes_the_content_that_was_in_the_rejected_response(type_url: str) -> None:
    """A newer response may be under way when the rejection of an older one comes."""
    peer = DeltaPeer({type_url: {"a": "bad"}})
    rejected = peer.ask_one(type_url, "a")
    (newer,) = peer.publish({type_url: {"a": "good"}})

    peer.nack(rejected, "no")
    peer.ack(newer)

    assert peer.client.refuses(resource(type_url, "a", "bad"))
    assert not peer.client.refuses(resource(type_url, "a", "good"))
    assert peer.ask_one(type_url, "a").contents == {"a": "good"}


@EVERY_TYPE
def test_a_removal_is_said_even_of_content_that_was_rejected(type_url: str) -> None:
    """Of listeners and clusters a client may have taken a part."""
    peer = DeltaPeer({type_url: {"a": "bad"}})
    peer.nack(peer.ask_one(type_url, "a"), "no")

    (gone,) = peer.publish({})

    assert gone.removed == ("a",)


@EVERY_TYPE
def test_what_was_accepted_before_a_rejection_is_said_to_be_gone(type_url: str) -> None:
    peer = DeltaPeer({type_url: {"a": "1"}})
    peer.ack(peer.ask_one(type_url, "a"))
    (bad,) = peer.publish({type_url: {"a": "bad"}})
    peer.nack(bad, "no")

    (gone,) = peer.publish({})

    assert gone.removed == ("a",)


def test_rejected_endpoints_are_not_sent_behind_their_cluster_either() -> None:
    for peer in (
        SotwPeer({CLUSTER: {"a": "1"}, ENDPOINTS: {"a": "bad"}}),
        DeltaPeer({CLUSTER: {"a": "1"}, ENDPOINTS: {"a": "bad"}}),
    ):
        peer.ask(CLUSTER)
        (response,) = peer.ask(ENDPOINTS, "a")
        peer.nack(response, "no", *_same(peer, ("a",)))

        (only,) = peer.publish({CLUSTER: {"a": "2"}, ENDPOINTS: {"a": "bad"}})

        assert only.type_url == CLUSTER


def _closed(type_url: str, name: str) -> Resource:
    return resource(type_url, name, "closed")


def _nothing(_before: Resource, _after: Resource) -> None:
    return None


class _Stream:
    """One that is told of nothing."""

    def nudge(self) -> None:
        pass


def _hold(peer: SotwPeer | DeltaPeer) -> None:
    """Have it noted which snapshot the client is to hold, as a hub does."""
    stream = _Stream()
    peer.client.open(stream)
    peer.client.show(stream, peer.session.snapshot)


def _same(peer: SotwPeer | DeltaPeer, names: tuple[str, ...]) -> tuple[str, ...]:
    """What a request restates: all names in the state of the world, none in delta."""
    return names if isinstance(peer, SotwPeer) else ()


@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_sidecars_configuration_that_was_passed_over_is_not_taken_for_rejected(
    *, variant: type[SotwPeer] | type[DeltaPeer], newest_first: bool
) -> None:
    """Its client applies only the newest of what has come, and answers all of it alike."""
    peer = variant({SIDECAR: {"a": "0"}})
    peer.ack(peer.ask_one(SIDECAR, "a"), *_same(peer, ("a",)))
    (passed_over,) = peer.publish({SIDECAR: {"a": "1"}})
    (tried,) = peer.publish({SIDECAR: {"a": "2"}})

    for response in (tried, passed_over) if newest_first else (passed_over, tried):
        for left in told(peer.nack(response, "a: no", *_same(peer, ("a",)))):
            assert left.contents == {"a": "0"}
            peer.ack(left, *_same(peer, ("a",)))

    assert set(peer.client.rejections) == {content(resource(SIDECAR, "a", "2"))}
    (reverted,) = peer.publish({SIDECAR: {"a": "1"}})
    assert reverted.contents == {"a": "1"}
    assert Ack(SIDECAR, reverted.version) in peer.ack(reverted, *_same(peer, ("a",)))
    assert peer.publish({SIDECAR: {"a": "2"}}) == []


@pytest.mark.parametrize("variant", [SotwPeer, DeltaPeer])
def test_a_sidecars_configuration_that_is_back_is_rejected_by_the_answer_to_its_last_response(
    variant: type[SotwPeer] | type[DeltaPeer],
) -> None:
    peer = variant({SIDECAR: {"a": "1"}})
    first = peer.ask_one(SIDECAR, "a")
    sent = [first, *peer.publish({SIDECAR: {"a": "2"}}), *peer.publish({SIDECAR: {"a": "1"}})]
    assert [response.contents["a"] for response in sent] == ["1", "2", "1"]

    for response in sent:
        peer.nack(response, "a: no", *_same(peer, ("a",)))

    assert set(peer.client.rejections) == {content(resource(SIDECAR, "a", "1"))}
