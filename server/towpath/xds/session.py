"""What the two variants of the protocol have in common: one stream's state, without I/O.

Rules are quoted by their paragraph of
https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol (called XP in this package).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from typing import Generic, TypeVar

from towpath.hub.deliveries import Holding
from towpath.model.snapshot import Resource, Snapshot
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, SHORT_NAMES
from towpath.xds.absence import Fault, Manners, faults, manners_of
from towpath.xds.messages import Event, Nack, Node, ProtocolError, Request
from towpath.xds.rejections import Rejections, named_in
from towpath.xds.wire import Composer

WILDCARD = "*"
WILDCARD_TYPES = frozenset({CLUSTER, LISTENER})
"""Types for which asking for nothing at all means everything; XP, «How the client specifies
what resources to return»."""

R = TypeVar("R", bound=Request)


class Session(ABC, Generic[R]):
    """One stream: `on_request` and `on_snapshot` say what is to be sent, and what was learnt.

    Give it the first snapshot before the first request. A request for a type that is not served
    is answered with nothing; the stream's other types go on. A stream of *only_type* is of that
    type, named or not.
    """

    def __init__(
        self, *, composer: Composer, rejections: Rejections, only_type: str | None = None
    ) -> None:
        self._composer = composer
        self._rejections = rejections
        self._only_type = only_type
        self._manners = Manners()
        self._snapshot = Snapshot({})
        self._node: Node | None = None
        self._nonces = 0

    def on_request(self, request: R) -> list[Event]:
        """Take one request. Raises ProtocolError if the peer broke the protocol."""
        self._check_node(request.node)
        if self._only_type is not None and request.type_url in ("", self._only_type):
            request = replace(request, type_url=self._only_type)
        elif self._only_type is not None:
            text = f"this stream is of {self._only_type}, and cannot carry {request.type_url}"
            raise ProtocolError(text)
        if not request.type_url:
            raise ProtocolError("a request on an aggregated stream must have a type_url")
        if request.type_url not in SHORT_NAMES:
            return []
        return self._on_request(request)

    def on_snapshot(self, snapshot: Snapshot) -> list[Event]:
        """Take the newest snapshot, in the order in which a change may be made: clusters and
        endpoints before the listeners and routes that use them (XP, «Eventual consistency
        considerations»).
        """
        self._snapshot = snapshot
        revoked = [event for type_url in SHORT_NAMES for event in self._revoke(type_url)]
        return revoked + [event for type_url in SHORT_NAMES for event in self._push(type_url)]

    @abstractmethod
    def subscribed(self, type_url: str) -> int | None:
        """How many names the client asks for (0: all, by the wildcard); None: not subscribed."""

    @abstractmethod
    def holding(self, type_url: str) -> Holding | None:
        """What is known of each resource of that type; None: not subscribed."""

    @abstractmethod
    def _on_request(self, request: R) -> list[Event]: ...

    @property
    @abstractmethod
    def settled(self) -> bool:
        """True if the client has answered every response."""

    @abstractmethod
    def _revoke(self, type_url: str) -> Iterable[Event]:
        """Take back what must not wait for the rest of the snapshot."""

    @abstractmethod
    def _push(self, type_url: str) -> Iterable[Event]: ...

    def _check_node(self, node: Node | None) -> None:
        """The first request says who speaks; it may be said again, but not changed."""
        if self._node is None:
            if node is None or not node.id:
                raise ProtocolError("the first request on a stream must have a node with an id")
            self._node = node
            self._manners = manners_of(node)
        elif node is not None and node.id and node.id != self._node.id:
            raise ProtocolError(
                f"node id {node.id!r} differs from {self._node.id!r}, which this stream began with"
            )

    def _nonce(self) -> str:
        """Unique over the stream, so that no type's nonce is ever taken for another's."""
        self._nonces += 1
        return str(self._nonces)

    def _faults(self, type_url: str, names: Iterable[str]) -> tuple[Fault, ...]:
        """Why each of *names*, which are not there, is not; nothing for who cannot be told."""
        if not self._manners.faults:
            return ()
        held, forbidden = self._snapshot.of(type_url), self._snapshot.forbidden
        return faults(names, held, forbidden=lambda name: forbidden(type_url, name))

    def _sendable(self, resources: Iterable[Resource]) -> tuple[Resource, ...]:
        return tuple(r for r in resources if not self._rejections.resource(r))

    def _reject(self, type_url: str, version: str, sent: dict[str, str], text: str) -> Nack:
        """Remember what a NACK speaks of: resources by name and version, or the whole response."""
        names = tuple(sorted(named_in(text, sent)))
        self._rejections.add((type_url, name, sent[name]) for name in names)
        self._rejections.add([(type_url, "", version)])
        return Nack(type_url=type_url, version=version, message=text, names=names)


FOLLOWED = {CLUSTER: ENDPOINTS}
"""Resources that must be sent again behind others of the same name, though unchanged.

A cluster that is new or changed warms until an endpoints *response* arrives, even if its
endpoints are what they were (XP, «Resource warming»). Ours have the cluster's name.
"""
