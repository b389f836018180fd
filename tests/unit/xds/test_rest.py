"""A type of which nothing is to be sent rests: it is not asked for until something changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.resources import Contents, resource
from support.xds_peer import DeltaPeer, new_client
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


def _peer(client: ClientRecord) -> DeltaPeer:
    """One that has accepted all that it asked for."""
    peer = DeltaPeer(CONTENTS, client)
    for type_url in CONTENTS:
        peer.ack(peer.ask_one(type_url, *NAMES.get(type_url, ("*",))))
    return peer


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


def test_a_snapshot_asks_only_of_what_it_changes(client: ClientRecord, asked: list[str]) -> None:
    peer = _peer(client)
    asked.clear()

    replies = peer.publish({**CONTENTS, ENDPOINTS: {"a": "2", "b": "1"}})

    assert [ENDPOINTS] == [reply.type_url for reply in replies]
    assert [ENDPOINTS] == asked


def test_the_same_snapshot_again_asks_nothing(client: ClientRecord, asked: list[str]) -> None:
    peer = _peer(client)
    asked.clear()

    assert [] == peer.publish(CONTENTS)
    assert [] == asked


def test_an_answer_asks_nothing_of_the_other_types(client: ClientRecord, asked: list[str]) -> None:
    peer = _peer(client)
    (reply,) = peer.publish({**CONTENTS, ENDPOINTS: {"a": "2", "b": "1"}})
    asked.clear()

    peer.ack(reply)

    assert peer.session.settled
    assert {ENDPOINTS} >= set(asked)


def _asks_again(peer: DeltaPeer, _: ClientRecord) -> bool:
    return [ENDPOINTS] == [reply.type_url for reply in peer.ask(ENDPOINTS, "a")]


def _has_its_cluster_changed(peer: DeltaPeer, _: ClientRecord) -> bool:
    replies = peer.publish({**CONTENTS, CLUSTER: {"a": "2", "b": "1"}})
    return [CLUSTER, ENDPOINTS] == [reply.type_url for reply in replies]


def _loses_a_name(peer: DeltaPeer, _: ClientRecord) -> bool:
    replies = peer.publish({**CONTENTS, ENDPOINTS: {"a": "1"}})
    return [ENDPOINTS] == [reply.type_url for reply in replies]


def _rejects_it_elsewhere(peer: DeltaPeer, client: ClientRecord) -> bool:
    content = resource(ENDPOINTS, "a", "1")
    client.rejected(ENDPOINTS, "v", {"a": content}, {}, "a: no")
    return peer.session.lacks(ENDPOINTS) and not peer.session.settled


Step = Callable[[DeltaPeer, ClientRecord], bool]


@pytest.mark.parametrize(
    "step", [_asks_again, _has_its_cluster_changed, _loses_a_name, _rejects_it_elsewhere]
)
def test_what_ends_the_rest(client: ClientRecord, step: Step) -> None:
    peer = _peer(client)
    assert peer.session.settled

    assert step(peer, client)
