"""Holders: in whose snapshots some content is, kept by the changes of the snapshots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import Generic, NamedTuple, TypeVar
from weakref import ref

from towpath.model.snapshot import Layer, ResourceSet, Snapshot
from towpath.rollout.content import Content

H = TypeVar("H")


class Move(NamedTuple):
    """What another snapshot brings of one type, and the versions of what it takes away."""

    type_url: str
    come: tuple[Layer, ...]
    gone: tuple[str, ...]


class Holders(Generic[H]):
    """Holders by the layers of their snapshots; a holder with two snapshots counts twice."""

    def __init__(self) -> None:
        self._by_version: dict[str, dict[str, tuple[Layer, Counter[H]]]] = {}
        # A thousand holders move from the one snapshot to the other, one behind the other. Neither
        # is kept for that: an old one may have private keys.
        self._latest: tuple[_Reference, _Reference, list[Move]] = _nothing, _nothing, []

    def moved(self, holder: H, old: Snapshot | None, new: Snapshot | None) -> None:
        """A snapshot of that holder has changed; None: there was none, or there is none now."""
        before, after, moves = self._latest
        if not (_is(before, old) and _is(after, new)):
            moves = _moves(old, new)
            self._latest = _reference(old), _reference(new), moves
        for type_url, come, gone in moves:
            layers = self._by_version.setdefault(type_url, {})
            for layer in come:
                if layer.version not in layers:
                    layers[layer.version] = layer, Counter()
                layers[layer.version][1][holder] += 1
            for version in gone:
                holders = layers[version][1]
                holders[holder] -= 1
                if not holders[holder]:
                    del holders[holder]
                if not holders:
                    del layers[version]

    def of(self, content: Content) -> list[H]:
        """All in whose snapshots that content is, each once."""
        return list(dict.fromkeys(chain.from_iterable(self._layers(content))))

    def hold(self, content: Content) -> bool:
        """True if that content is in a snapshot of any of them."""
        return bool(self._layers(content))

    def _layers(self, content: Content) -> list[Counter[H]]:
        type_url, name, version = content
        there = []
        for layer, holders in self._by_version.get(type_url, {}).values():
            resource = layer.find(name)
            if resource is not None and resource.version == version:
                there.append(holders)
        return there


_Reference = Callable[[], Snapshot | None]


def _nothing() -> None:
    return None


def _reference(snapshot: Snapshot | None) -> _Reference:
    return _nothing if snapshot is None else ref(snapshot)


def _is(reference: _Reference, snapshot: Snapshot | None) -> bool:
    """True if it refers to that snapshot; one that is gone is not the same as none."""
    return reference is _nothing if snapshot is None else reference() is snapshot


def _moves(old: Snapshot | None, new: Snapshot | None) -> list[Move]:
    """By type, how the layers of two snapshots differ; None: it has none."""
    sets_before = old.sets if old is not None else {}
    sets_after = new.sets if new is not None else {}
    moves = []
    for type_url in sets_before.keys() | sets_after.keys():
        before = _by_version(sets_before.get(type_url))
        after = _by_version(sets_after.get(type_url))
        come = tuple(layer for version, layer in after.items() if version not in before)
        gone = tuple(version for version in before if version not in after)
        if come or gone:
            moves.append(Move(type_url, come, gone))
    return moves


def _by_version(resources: ResourceSet | None) -> dict[str, Layer]:
    return {layer.version: layer for layer in resources.layers} if resources is not None else {}
