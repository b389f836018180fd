"""Exchange: the client's side of the xDS protocol for one resource type, without I/O.

Every event (a stream began, a response came, the subscriber answered, the names changed) gives the
requests to send. The wire form of each mode is in `delta` and `sotw`.
https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, TypeAlias

import grpc
from envoy.service.discovery.v3 import discovery_pb2 as discovery
from google.protobuf.any_pb2 import Any
from google.rpc import status_pb2

from towpath_client.update import Resource, ResourceFault, Update

Request: TypeAlias = discovery.DiscoveryRequest | discovery.DeltaDiscoveryRequest
Response: TypeAlias = discovery.DiscoveryResponse | discovery.DeltaDiscoveryResponse

# A name with one of these errors is not to be used; with any other it is only not known now.
# https://github.com/grpc/proposal/blob/master/A88-xds-data-error-handling.md
_NOT_TO_BE_USED = frozenset(
    {grpc.StatusCode.NOT_FOUND.value[0], grpc.StatusCode.PERMISSION_DENIED.value[0]}
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One response, read; `fault` says why it cannot be used ("" if it can).

    `complete`: the resources are all there are, so that an absent one is deleted.
    """

    nonce: str
    version: str
    resources: Mapping[str, Resource]
    removed: frozenset[str]
    errors: Mapping[str, ResourceFault]
    complete: bool
    fault: str

    def lost(self, names: Iterable[str]) -> frozenset[str]:
        """Names that this response takes away from those *names*, or says do not exist."""
        lost = self.removed | {n for n, e in self.errors.items() if e.code in _NOT_TO_BE_USED}
        if self.complete:
            lost |= frozenset(names) - self.resources.keys() - self.errors.keys()
        return lost


@dataclass(frozen=True, slots=True)
class _InHand:
    update: Update
    nonces: list[str]


class Exchange(ABC):
    """Subscription state of one type: the names wanted, the resources held, what is unanswered."""

    shares_version: ClassVar[bool]
    """A resource's version is only that of its response, so it can change without its content."""

    def __init__(self, type_url: str, names: Iterable[str]) -> None:
        self.type_url = type_url
        self.names = tuple(dict.fromkeys(names))
        self.held: dict[str, Resource] = {}
        self.waiting: list[Arrival] = []
        self.in_hand: _InHand | None = None
        self._live = False  # there is a stream
        self._open = False  # this type has been asked for on that stream

    def start(self) -> list[Request]:
        """A new stream began: nothing of the one before can be answered any more."""
        self._live, self._open = True, False
        self.waiting.clear()
        return self._opening()

    def stop(self) -> None:
        """The stream ended; what arrived on it can still be taken until the next one begins."""
        self._live = self._open = False

    def receive(self, response: Response) -> None:
        """Keep a response until the subscriber takes it."""
        if self._open:
            self.waiting.append(self.read(response))

    def take(
        self, answer: Callable[[Update, str | None], None]
    ) -> tuple[list[Request], Update | None]:
        """Fold what is waiting into one update; unusable responses are rejected on the way."""
        requests: list[Request] = []
        usable: list[Arrival] = []
        while self.waiting:
            if fault := self.waiting[0].fault:
                # Answers keep the order of the responses: the good ones before it come first.
                if usable:
                    break
                requests += self._verdict([self.waiting.pop(0).nonce], fault)
            else:
                usable.append(self.waiting.pop(0))
        if not usable:
            return requests, None
        update = self._fold(usable, answer)
        self.in_hand = _InHand(update, [arrival.nonce for arrival in usable])
        return requests, update

    def answer(self, update: Update, reason: str | None) -> list[Request]:
        """Accept the update in hand, or reject it for a *reason*."""
        if self.in_hand is None or self.in_hand.update is not update:
            raise RuntimeError(
                f"the update of {update.type_url} to version {update.version!r} is answered "
                "already; answer it once, before the next update is asked for"
            )
        nonces, self.in_hand = self.in_hand.nonces, None
        if reason is None:
            self.held = self._wanted(update.resources)
            self.accepted(update.version)
        return self._verdict(nonces, reason)

    def rename(self, names: Iterable[str]) -> list[Request]:
        """Want other names; resources that are no longer wanted are dropped."""
        before, self.names = self.names, tuple(dict.fromkeys(names))
        self.held = self._wanted(self.held)
        if set(before) == set(self.names):
            return []
        requests = self.renamed(before)  # noted even if there is nobody to tell
        return requests if self._open else self._opening()

    def _opening(self) -> list[Request]:
        """The type's first request on this stream, if it is time for it.

        No names means no request: a first request without names would ask for everything.
        An unanswered update of an earlier stream comes first: the server is told what is held,
        and only the subscriber's answer says whether that update belongs to it.
        """
        if not self._live or self.in_hand is not None or not self.names:
            return []
        self._open = True
        return [self.first_request()]

    def _verdict(self, nonces: list[str], reason: str | None) -> list[Request]:
        if not self._open:
            return self._opening()
        if reason is None:
            return self.verdict(nonces, None)
        code = grpc.StatusCode.INVALID_ARGUMENT.value[0]
        return self.verdict(nonces, status_pb2.Status(code=code, message=reason))

    def _wanted(self, resources: Mapping[str, Resource]) -> dict[str, Resource]:
        if "*" in self.names:
            return dict(resources)
        names = set(self.names)
        return {name: resource for name, resource in resources.items() if name in names}

    def _fold(
        self, arrivals: list[Arrival], answer: Callable[[Update, str | None], None]
    ) -> Update:
        resources = dict(self.held)
        absent: set[str] = set()
        errors: dict[str, ResourceFault] = {}
        for arrival in arrivals:
            lost = arrival.lost(resources)
            absent |= lost
            for name in lost:
                resources.pop(name, None)
            for name, resource in self._wanted(arrival.resources).items():
                errors.pop(name, None)
                old = resources.get(name)
                if not (self.shares_version and old is not None and old.body == resource.body):
                    resources[name] = resource
            errors |= arrival.errors
        changed = {n: resource for n, resource in resources.items() if self.held.get(n) != resource}
        return Update(
            type_url=self.type_url,
            version=arrivals[-1].version,
            changed=MappingProxyType(changed),
            removed=frozenset(absent - resources.keys()),
            resource_errors=MappingProxyType(errors),
            resources=MappingProxyType(resources),
            received=tuple(dict.fromkeys(n for a in arrivals for n in a.resources)),
            _answer=answer,
        )

    @abstractmethod
    def read(self, response: Response) -> Arrival:
        """Read one response of this mode."""

    @abstractmethod
    def first_request(self) -> Request:
        """The type's first request on a stream."""

    @abstractmethod
    def verdict(self, nonces: list[str], error: status_pb2.Status | None) -> list[Request]:
        """Acknowledge the responses of these nonces, or reject them for an *error*."""

    @abstractmethod
    def renamed(self, before: tuple[str, ...]) -> list[Request]:
        """The requests that tell the server, on an open stream, of the change to `names`."""

    @abstractmethod
    def accepted(self, version: str) -> None:
        """An update of this version was accepted."""


def errors_in(response: Response) -> dict[str, ResourceFault]:
    """The reasons that a response gives instead of resources, by name."""
    return {
        error.resource_name.name: ResourceFault(error.error_detail.code, error.error_detail.message)
        for error in response.resource_errors
    }


def fault_in(type_url: str, named: Iterable[tuple[str, Any]]) -> str:
    """Why these resources cannot be used, "" if they can: wrong type, or a name sent twice."""
    seen: set[str] = set()
    for name, body in named:
        if body.type_url != type_url:
            return f"resource {name!r} is of type {body.type_url!r}, asked for is {type_url!r}"
        if name in seen:
            return f"resource {name!r} is in the response twice"
        seen.add(name)
    return ""
