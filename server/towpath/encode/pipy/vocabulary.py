"""What can be said to a Pipy sidecar in place of a configuration that is blocked."""

from __future__ import annotations

from dataclasses import dataclass

from towpath.encode.pipy.intersection import closed, intersection
from towpath.model.snapshot import Resource


@dataclass(frozen=True, slots=True)
class PipyVocabulary:
    """The `Vocabulary` of Pipy sidecars; one for all of them. Their one resource is never gone."""

    kept: frozenset[str] = frozenset()

    def revoked(self, _type_url: str, _name: str) -> Resource | None:
        return None

    def closed(self, type_url: str, name: str) -> Resource | None:
        return closed(type_url, name)

    def intersection(self, before: Resource, after: Resource) -> Resource | None:
        return intersection(before, after)

    def forbidden(self, _type_url: str, _name: str) -> str | None:
        return None


VOCABULARY = PipyVocabulary()
