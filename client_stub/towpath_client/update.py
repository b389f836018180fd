"""What a subscriber is given: updates, resources, and the exception that ends a subscription."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import grpc
from google.protobuf.any_pb2 import Any


class Resource(NamedTuple):
    """One resource, its body still packed.

    In state-of-the-world mode `version` is that of the response in which its bytes last changed.
    """

    version: str
    body: Any


class ResourceFault(NamedTuple):
    """Why the server does not give a resource: a gRPC status number, and its own words."""

    code: int
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What the server changed, and what is held once this update is accepted.

    It is accepted by asking for the next update, by `ack`, or by closing without an exception in
    the task that took it; after `nack` the state before it stays. Responses that arrive while an
    update is in the subscriber's hands become one update.
    """

    type_url: str
    version: str
    changed: Mapping[str, Resource]
    """New resources, and those that differ from what was held."""
    removed: frozenset[str]
    """Names that the server says do not exist (any more)."""
    resource_errors: Mapping[str, ResourceFault]
    """Names for which the server gave a reason instead of a resource."""
    resources: Mapping[str, Resource]
    """All resources held, this update included."""
    received: tuple[str, ...]
    """Names of all resources that the server sent, changed or not, asked for or not."""
    _answer: Callable[[Update, str | None], None] = field(repr=False)

    async def ack(self) -> None:
        """Accept now; RuntimeError if this update has been answered."""
        self._answer(self, None)

    async def nack(self, reason: str) -> None:
        """Reject, and tell the server why; RuntimeError if this update has been answered."""
        self._answer(self, reason)


class SubscriptionRefused(Exception):
    """The server ended the stream with a status that trying again cannot change."""

    def __init__(self, status: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{status.name}: {details}")
        self.status = status
        self.details = details
