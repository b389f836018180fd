"""Holders: in whose snapshots some content is, kept by the changes of the snapshots."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Generic, TypeVar

from towpath.model.snapshot import Layer, Snapshot
from towpath.rollout.content import Content

H = TypeVar("H")


class Holders(Generic[H]):
    """Holders by the layers of their snapshots; a holder with two snapshots counts twice."""

    def __init__(self) -> None:
        self._by_layer: dict[str, dict[Layer, Counter[H]]] = {}

    def moved(self, holder: H, old: Snapshot | None, new: Snapshot | None) -> None:
        """A snapshot of that holder has changed; None: there was none, or there is none now."""
        sets_before = old.sets if old is not None else {}
        sets_after = new.sets if new is not None else {}
        for type_url in sets_before.keys() | sets_after.keys():
            set_before, set_after = sets_before.get(type_url), sets_after.get(type_url)
            if set_before is set_after:
                continue
            layers_before = set_before.layers if set_before is not None else ()
            layers_after = set_after.layers if set_after is not None else ()
            if layers_before == layers_after:
                continue
            before, after = set(layers_before), set(layers_after)
            layers = self._by_layer.setdefault(type_url, {})
            for layer in after - before:
                layers.setdefault(layer, Counter())[holder] += 1
            for layer in before - after:
                holders = layers[layer]
                holders[holder] -= 1
                if not holders[holder]:
                    del holders[holder]
                if not holders:
                    del layers[layer]

    def of(self, content: Content) -> list[H]:
        """All in whose snapshots that content is, each once."""
        return list(dict.fromkeys(chain.from_iterable(self._layers(content))))

    def hold(self, content: Content) -> bool:
        """True if that content is in a snapshot of any of them."""
        return bool(self._layers(content))

    def _layers(self, content: Content) -> list[Counter[H]]:
        type_url, name, version = content
        layers = self._by_layer.get(type_url, {})
        there = []
        for layer, holders in layers.items():
            resource = layer.find(name)
            if resource is not None and resource.version == version:
                there.append(holders)
        return there
