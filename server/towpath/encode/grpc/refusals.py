"""Refusals: why a name that a client asks for is none that it could ever be given."""

from __future__ import annotations

import re
from dataclasses import dataclass

from towpath.model.types import LISTENER

_SERVICE = re.compile(r"[^.:]+\.[^.:]+(\.svc\.cluster\.local)?(:[0-9]+)?")
_FORM = "<service>.<namespace>[.svc.cluster.local][:<port>]"


@dataclass(frozen=True, slots=True)
class Refusals:
    """Called with a type URL and a name; `withheld` says why nothing is offered, if nothing is."""

    withheld: str

    def __call__(self, type_url: str, name: str) -> str | None:
        if type_url != LISTENER:
            return None
        if self.withheld:
            return f"{name!r} is not served to gRPC clients: {self.withheld}"
        if _SERVICE.fullmatch(name):
            return None
        return (
            f"{name!r} is not served to gRPC clients: a service of the mesh is {_FORM}; a "
            "destination outside it needs a sidecar, which enforces policies, or dns:///"
        )
