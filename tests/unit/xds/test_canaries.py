"""What is asked of the rollout: once in each step, and only what is sent makes a canary."""

from __future__ import annotations

from collections import Counter

import pytest

from support.fake_time import Clock
from support.objects import mesh_of
from support.resources import snapshot
from support.xds_peer import DeltaPeer, SotwPeer
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
        for told in client.ask(type_url, *wanted):
            client.ack(told, *wanted) if isinstance(client, SotwPeer) else client.ack(told)
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
