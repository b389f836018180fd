"""What can be said to an Envoy in place of a resource that is gone or blocked."""

from __future__ import annotations

from dataclasses import dataclass

from towpath.encode.envoy.egress_routes import revoked
from towpath.encode.envoy.intersection import intersection
from towpath.encode.envoy.stand_ins import closed
from towpath.model.snapshot import Resource
from towpath.model.types import SECRET


@dataclass(frozen=True, slots=True)
class EnvoyVocabulary:
    """The `Vocabulary` of Envoy sidecars, in two forms.

    `open` says that the inbound routes of the snapshot let in any request from anyone: then a chain
    that asks these routes refuses nobody, which the listener alone does not tell.
    """

    open: bool = False

    kept: frozenset[str] = frozenset({SECRET})
    """A secret is in use as long as the client asks for it: taken away, it breaks connections that
    are still being made by a chain or a cluster that warms or drains.
    """

    def revoked(self, type_url: str, name: str) -> Resource | None:
        return revoked(type_url, name)

    def closed(self, type_url: str, name: str) -> Resource | None:
        return closed(type_url, name)

    def intersection(self, before: Resource, after: Resource) -> Resource | None:
        return intersection(before, after, inbound_open=self.open)

    def forbidden(self, _type_url: str, _name: str) -> str | None:
        return None
