"""Snapshots made of texts instead of configuration, for tests of what carries them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from google.protobuf.any_pb2 import Any as AnyMessage

from towpath.model.snapshot import Layer, Resource, ResourceSet, Snapshot

Contents = Mapping[str, Mapping[str, str]]
"""By type URL and name: what is in a resource."""


StandIn = Callable[[str, str], Resource | None]


def _none(*_: object) -> None:
    return None


@dataclass(frozen=True)
class FakeVocabulary:
    """A vocabulary of functions; it has no word for what it is given none for."""

    revoked: StandIn = _none
    closed: StandIn = _none
    intersection: Callable[[Resource, Resource], Resource | None] = _none
    forbidden: Callable[[str, str], str | None] = _none
    kept: frozenset[str] = frozenset()


def old(before: Resource, _: Resource) -> Resource:
    """An intersection: as if the new resource let through all that the old one does."""
    return before


def resource(type_url: str, name: str, content: str) -> Resource:
    packed = AnyMessage(type_url=type_url, value=f"{name}={content}".encode())
    return Resource.of(type_url, name, packed.SerializeToString(deterministic=True))


def snapshot(contents: Contents) -> Snapshot:
    sets = {type_url: resource_set(type_url, versions) for type_url, versions in contents.items()}
    return Snapshot(sets, FakeVocabulary(intersection=old))


def resource_set(type_url: str, *layers: Mapping[str, str]) -> ResourceSet:
    """One layer for each mapping of names to contents."""
    return ResourceSet(type_url, tuple(layer(type_url, versions) for versions in layers))


def layer(type_url: str, versions: Mapping[str, str]) -> Layer:
    return Layer(tuple(resource(type_url, name, content) for name, content in versions.items()))


def content_of(packed: AnyMessage) -> tuple[str, str]:
    """The name and the content of a resource made here."""
    name, _, content = packed.value.decode().rpartition("=")
    return name, content
