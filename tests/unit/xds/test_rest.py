"""A type of which nothing is to be sent rests: it is not asked for until something changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.resources import Contents, resource
from support.xds.told import Told
from support.xds_peer import DeltaPeer, SotwPeer, new_client
from towpath.model.snapshot import ResourceSet
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from towpath.rollout.clients import ClientRecord

CONTENTS: Contents = {
    CLUSTER: {"a": "1", "b": "1"},
    ENDPOINTS: {"a": "1", "b": "1"},
    LISTENER: {"l": "1"},
    ROUTES: {"r": "1"},
}
NAMES = {ENDPOINTS: ("a", "b"), ROUTES: ("r",)}


Peer = SotwPeer | DeltaPeer


@pytest.fixture(params=[SotwPeer, DeltaPeer])
def peer(request: pytest.FixtureRequest, client: ClientRecord) -> Peer:
    """One that has accepted all that it asked for."""
    new: Peer = request.param(CONTENTS, client)
    for type_url in CONTENTS:
        _ack(new, new.ask_one(type_url, *_names(type_url)))
    return new


def _names(type_url: str) -> tuple[str, ...]:
    return NAMES.get(type_url, ("*",))


def _ack(peer: Peer, response: Told[str]) -> None:
    if isinstance(peer, SotwPeer):
        peer.ack(response, *_names(response.type_url))
    else:
        peer.ack(response)


@pytest.fixture
def client() -> ClientRecord:
    return new_client()


@pytest.fixture
def asked(client: ClientRecord, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The types of which the client was asked what is blocked, in order."""
    types: list[str] = []
    blocked = client.blocked

    def note(resources: ResourceSet) -> frozenset[str]:
        types.append(resources.type_url)
        return blocked(resources)

    monkeypatch.setattr(client, "blocked", note)
    return types


def test_a_snapshot_asks_only_of_what_it_changes(peer: Peer, asked: list[str]) -> None:
    asked.clear()

    replies = peer.publish({**CONTENTS, ENDPOINTS: {"a": "2", "b": "1"}})

    assert [ENDPOINTS] == [reply.type_url for reply in replies]
    assert [ENDPOINTS] == asked


def test_the_same_snapshot_again_asks_nothing(peer: Peer, asked: list[str]) -> None:
    asked.clear()

    assert [] == peer.publish(CONTENTS)
    assert [] == asked


def test_an_answer_asks_nothing_of_the_other_types(peer: Peer, asked: list[str]) -> None:
    (reply,) = peer.publish({**CONTENTS, ENDPOINTS: {"a": "2", "b": "1"}})
    asked.clear()

    _ack(peer, reply)

    assert peer.session.settled
    assert {ENDPOINTS} >= set(asked)


def _asks_again(peer: Peer, _: ClientRecord) -> bool:
    if isinstance(peer, SotwPeer):
        peer.request(ENDPOINTS)  # it forgets them, and asks again
        asked = peer.ask(ENDPOINTS, "a")
    else:
        asked = peer.ask(ENDPOINTS, "a")
    return [ENDPOINTS] == [reply.type_url for reply in asked]


def _has_its_cluster_changed(peer: Peer, _: ClientRecord) -> bool:
    replies = peer.publish({**CONTENTS, CLUSTER: {"a": "2", "b": "1"}})
    return [CLUSTER, ENDPOINTS] == [reply.type_url for reply in replies]


def _loses_a_name(peer: Peer, _: ClientRecord) -> bool:
    replies = peer.publish({**CONTENTS, LISTENER: {}})
    return [LISTENER] == [reply.type_url for reply in replies]


def _rejects_it_elsewhere(peer: Peer, client: ClientRecord) -> bool:
    content = resource(ENDPOINTS, "a", "1")
    client.rejected(ENDPOINTS, {"a": content}, {}, "a: no")
    peer.publish(CONTENTS)
    return ENDPOINTS in peer.session.progress.lacking and not peer.session.settled


Step = Callable[[Peer, ClientRecord], bool]


@pytest.mark.parametrize(
    "step", [_asks_again, _has_its_cluster_changed, _loses_a_name, _rejects_it_elsewhere]
)
def test_what_ends_the_rest(peer: Peer, client: ClientRecord, step: Step) -> None:
    assert peer.session.settled

    assert step(peer, client)
