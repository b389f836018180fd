"""What can be said to a gRPC client in place of a resource that is gone or blocked, and why a name
that it asks for is none that it could ever be given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from towpath.encode.grpc.stand_ins import closed
from towpath.model.snapshot import Resource
from towpath.model.types import LISTENER

_SERVICE = re.compile(r"[^.:]+\.[^.:]+(\.svc\.cluster\.local)?(:[0-9]+)?")
_FORM = "<service>.<namespace>[.svc.cluster.local][:<port>]"


@dataclass(frozen=True, slots=True)
class GrpcVocabulary:
    """The `Vocabulary` of gRPC clients; *refusal* says why nothing is offered, if nothing is."""

    refusal: str = ""

    @property
    def kept(self) -> frozenset[str]:
        """A client that was told to drop a listener may not take the very same up again."""
        return frozenset({LISTENER})

    def revoked(self, type_url: str, name: str) -> Resource | None:
        """Leaving a resource out is never enough: see `closed`."""
        return closed(type_url, name)

    def closed(self, type_url: str, name: str) -> Resource | None:
        return closed(type_url, name)

    def intersection(self, before: Resource, _: Resource) -> Resource | None:
        """A gRPC client is sent no policy that could be wider than the next."""
        return before

    def forbidden(self, type_url: str, name: str) -> str | None:
        if type_url != LISTENER:
            return None
        if self.refusal:
            return f"{name!r} is not served to gRPC clients: {self.refusal}"
        if _SERVICE.fullmatch(name):
            return None
        return (
            f"{name!r} is not served to gRPC clients: a service of the mesh is {_FORM}; a "
            "destination outside it needs a sidecar, which enforces policies, or dns:///"
        )
