"""How often things are done for a change: once for each, and not once for each stream."""

from __future__ import annotations

from collections import Counter

import pytest

from support.fake_time import Clock
from support.objects import mesh_of
from support.resources import FakeVocabulary, layer, old
from support.xds.told import Told
from support.xds_peer import DeltaPeer, SotwPeer, told
from towpath.hub.comparison import Comparisons
from towpath.hub.queries import Queries
from towpath.model import snapshot as model
from towpath.model.names import Account, ClientKind
from towpath.model.snapshot import Layer, ResourceSet, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import Quarantine
from towpath.settings import RolloutSettings

ENVOY = ClientBuild(ClientKind.ENVOY, "envoy", "1.40.0")
STREAMS = 30
TYPES = {CLUSTER: (), LISTENER: (), ENDPOINTS: tuple(f"e{n}" for n in range(50))}

Peer = SotwPeer | DeltaPeer
PEERS = pytest.mark.parametrize("peer", [SotwPeer, DeltaPeer])


def _snapshots(version: str) -> list[Snapshot]:
    """One for each stream: layers that all share, in which one resource of each type has that
    version, and one layer of the stream's own.
    """
    shared = {
        CLUSTER: layer(CLUSTER, {"c0": version, "c1": "1"}),
        LISTENER: layer(LISTENER, {"l0": version, "l1": "1"}),
        ENDPOINTS: layer(ENDPOINTS, {n: version if n == "e0" else "1" for n in TYPES[ENDPOINTS]}),
    }
    own = [layer(CLUSTER, {"own": f"of {n}"}) for n in range(STREAMS)]
    return [_snapshot(shared, mine) for mine in own]


def _snapshot(shared: dict[str, Layer], mine: Layer) -> Snapshot:
    layers = {t: (one, mine) if t == CLUSTER else (one,) for t, one in shared.items()}
    sets = {type_url: ResourceSet(type_url, of) for type_url, of in layers.items()}
    return Snapshot(sets, FakeVocabulary(intersection=old))


def _answer(peer: Peer, responses: list[Told[str]]) -> int:
    """Acknowledge all that comes, and what comes of that; gives how many there were."""
    count = 0
    while responses:
        response = responses.pop(0)
        count += 1
        if isinstance(peer, SotwPeer):
            responses += told(peer.ack(response, *TYPES[response.type_url]))
        else:
            responses += told(peer.ack(response))
    return count


def _connect(peer: type[Peer], quarantine: Quarantine, snapshots: list[Snapshot]) -> list[Peer]:
    peers = list[Peer]()
    for number, first in enumerate(snapshots):
        client = quarantine.client(f"{number}.shop", ENVOY, Account("shop", str(number)))
        stream = peer(first, client)
        for type_url, names in TYPES.items():
            _answer(stream, stream.ask(type_url, *names))
        assert stream.session.settled
        peers.append(stream)
    return peers


@PEERS
def test_a_change_is_told_each_stream_in_one_response_of_each_type_that_changes(
    peer: type[Peer],
) -> None:
    """Also those that wait for canaries: what they hold already is not sent to them again."""
    quarantine = Quarantine(RolloutSettings(canaries=1), clock=Clock())
    before, after = _snapshots("1"), _snapshots("2")
    peers = _connect(peer, quarantine, before)
    compare = Comparisons(quarantine.intersections, Queries(mesh_of()).do)
    for old_one, new in zip(before, after, strict=True):
        quarantine.changed(ENVOY, compare.between(old_one, new))

    first = [one.publish(new) for one, new in zip(peers, after, strict=True)]
    waiting = [told for told in first if CLUSTER not in {one.type_url for one in told}]
    assert STREAMS - 1 == len(waiting)  # or nobody waited
    counts = Counter[int]()
    for number, (one, responses) in enumerate(zip(peers, first, strict=True)):
        counts[number] += _answer(one, responses)
    for number, (one, new) in enumerate(zip(peers, after, strict=True)):
        counts[number] += _answer(one, one.publish(new))

    assert {len(TYPES)} == set(counts.values())
    assert all(one.session.settled for one in peers)


@PEERS
def test_two_groups_of_layers_are_compared_once_for_all_streams_that_go_from_one_to_the_other(
    peer: type[Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine = Quarantine(RolloutSettings(), clock=Clock())
    peers = _connect(peer, quarantine, _snapshots("1"))
    compared: Counter[frozenset[str]] = Counter()
    differing = model._differing

    def count(new: frozenset[Layer], before: frozenset[Layer]) -> frozenset[str]:
        compared[frozenset(n for one in new | before for n in one)] += 1
        return differing(new, before)

    monkeypatch.setattr(model, "_differing", count)
    monkeypatch.setattr(model, "_differences", model._Differences(most=256))

    for one, new in zip(peers, _snapshots("2"), strict=True):
        _answer(one, one.publish(new))

    assert len(TYPES) == len(compared)
    assert {1} == set(compared.values())
