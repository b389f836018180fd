"""What is asked of the rollout: once in each step, and only what is sent makes a canary."""

from __future__ import annotations

from collections import Counter

import pytest

from support.fake_time import Clock
from support.objects import mesh_of
from support.resources import snapshot
from support.xds.told import Told
from support.xds_peer import DeltaPeer, SotwPeer, told
from towpath.hub.comparison import Comparisons
from towpath.hub.queries import Queries
from towpath.model.names import Account, ClientKind
from towpath.model.snapshot import ResourceSet, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from towpath.rollout.clients import ClientRecord
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import Quarantine
from towpath.settings import RolloutSettings

ENVOY = ClientBuild(ClientKind.ENVOY, "envoy", "1.40.0")
OLD = snapshot({CLUSTER: {"c": "1"}, ROUTES: {"r": "1"}})
NEW = snapshot({CLUSTER: {"c": "1"}, ROUTES: {"r": "2"}})

Peer = type[SotwPeer] | type[DeltaPeer]
PEERS = pytest.mark.parametrize("peer", [SotwPeer, DeltaPeer])


def _quarantine(old: Snapshot, new: Snapshot) -> Quarantine:
    quarantine = Quarantine(RolloutSettings(canaries=1), clock=Clock())
    compare = Comparisons(quarantine.intersections, Queries(mesh_of()).do)
    quarantine.changed(ENVOY, compare.between(old, new))
    return quarantine


def _client(quarantine: Quarantine, name: str) -> ClientRecord:
    return quarantine.client(f"{name}.shop", ENVOY, Account("shop", name))


@PEERS
def test_who_never_asks_for_routes_takes_no_canary_slot_of_a_route(peer: Peer) -> None:
    quarantine = _quarantine(OLD, NEW)
    without, with_routes = (peer(NEW, _client(quarantine, name)) for name in "ab")
    without.ack(without.ask_one(CLUSTER))
    assert without.session.settled

    assert {"r": "2"} == with_routes.ask_one(ROUTES, "r").contents


@PEERS
def test_whoever_is_sent_it_takes_the_slot(peer: Peer) -> None:
    quarantine = _quarantine(OLD, NEW)
    first, second = (peer(NEW, _client(quarantine, name)) for name in "ab")

    assert {"r": "2"} == first.ask_one(ROUTES, "r").contents
    assert {"r": "2"} not in [told.contents for told in second.ask(ROUTES, "r")]


@PEERS
def test_who_waits_for_an_answer_is_no_second_canary_meanwhile(peer: Peer) -> None:
    quarantine = _quarantine(OLD, NEW)
    first, second = (_opened(peer, quarantine, name) for name in "ab")
    after = {CLUSTER: {"c": "2"}, ROUTES: {"r": "2"}}
    awaited = [one.publish(after) for one in (first, second)]
    assert [[CLUSTER], [CLUSTER]] == [[r.type_url for r in one] for one in awaited]

    told_first, told_second = (
        _ack(one, answered) for one, (answered,) in zip((first, second), awaited, strict=True)
    )
    assert {"r": "2"} in [response.contents for response in told_first]
    assert {"r": "2"} not in [response.contents for response in told_second]


@PEERS
def test_what_others_reject_while_one_waits_for_an_answer_does_not_reach_it(peer: Peer) -> None:
    quarantine = Quarantine(RolloutSettings(), clock=Clock())
    waiting, *others = (_opened(peer, quarantine, name) for name in "abc")
    [awaited] = waiting.publish({CLUSTER: {"c": "2"}, ROUTES: {"r": "2"}})
    assert awaited.type_url == CLUSTER
    for one in others:
        [routes] = one.publish(NEW)
        one.nack(routes, "r: no", *(("r",) if peer is SotwPeer else ()))

    assert {"r": "2"} not in [response.contents for response in _ack(waiting, awaited)]


def _opened(peer: Peer, quarantine: Quarantine, name: str) -> SotwPeer | DeltaPeer:
    """A client that holds what was there before, and has said so."""
    one = peer(OLD, _client(quarantine, name))
    for type_url, names in ((CLUSTER, ()), (ROUTES, ("r",))):
        _ack(one, one.ask_one(type_url, *names))
    assert one.session.settled
    return one


def _ack(one: SotwPeer | DeltaPeer, response: Told[str]) -> list[Told[str]]:
    if isinstance(one, DeltaPeer):
        return told(one.ack(response))
    return told(one.ack(response, *(("r",) if response.type_url == ROUTES else ())))


@PEERS
def test_what_is_blocked_is_asked_at_most_once_for_each_type_in_one_step(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    blocked = ClientRecord.blocked

    def counted(self: ClientRecord, resources: ResourceSet) -> frozenset[str]:
        asked[resources.type_url] += 1
        return blocked(self, resources)

    names = {CLUSTER: (), ENDPOINTS: ("e",), LISTENER: (), ROUTES: ("r",)}
    contents = {
        CLUSTER: {"c": "1"},
        ENDPOINTS: {"e": "1"},
        LISTENER: {"l": "1"},
        ROUTES: {"r": "1"},
    }
    client = peer(contents)
    for type_url, wanted in names.items():
        for response in client.ask(type_url, *wanted):
            client.ack(response, *wanted) if isinstance(client, SotwPeer) else client.ack(response)
    monkeypatch.setattr(ClientRecord, "blocked", counted)

    responses = client.publish(contents | {LISTENER: {"l": "2"}, ROUTES: {"r": "2"}})
    assert {LISTENER, ROUTES} == {told.type_url for told in responses}
    assert asked
    assert set(asked.values()) == {1}

    asked.clear()
    listeners, routes = responses
    client.ack(listeners, *names[listeners.type_url]) if isinstance(
        client, SotwPeer
    ) else client.ack(listeners)
    assert client.session.settled is False
    assert set(asked.values()) <= {1}

    asked.clear()
    client.nack(routes, f"{next(iter(routes.contents))}: no", *names[routes.type_url])
    assert client.session.settled is False
    assert set(asked.values()) == {1}
