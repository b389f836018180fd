"""Values of a rollout: content, the build of a client, and one client's rejection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter

from towpath.model.names import ClientKind
from towpath.model.snapshot import Resource

Content = tuple[str, str, str]
"""(type URL, name, version) of one resource."""

content: Callable[[Resource], Content] = attrgetter("type_url", "name", "version")
"""What tells this content of this resource from all others."""


class State(Enum):
    """How far some content has come among the clients of one build."""

    NEW = "new"
    ON_TRIAL = "on trial"
    WAITED = "waited"
    ACCEPTED = "accepted"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, order=True)
class ClientBuild:
    """A kind and version of client: what one of them rejects, the others would."""

    kind: ClientKind
    software: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.software or self.kind} {self.version}".rstrip()


@dataclass(frozen=True, slots=True)
class Rejection:
    """One resource that a client rejected, with the *text* of its error, at a time *at* in seconds;
    *before* is what it had accepted under that name, and still holds.
    """

    node_id: str
    resource: Resource
    before: Resource | None
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Content that no client of a build is sent; *rejections* has one of each account asked."""

    build: ClientBuild
    resource: Resource
    rejections: tuple[Rejection, ...]
