"""What sidecars ask and are sent, as plain values; bytes are parsed and composed in `wire`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class ProtocolError(Exception):
    """The peer broke the protocol: its stream ends with INVALID_ARGUMENT and this text."""


@dataclass(frozen=True, slots=True)
class Node:
    """Who speaks: the node id, and its software's name ("envoy", "gRPC C-core …") and version;
    `encoded` is what it says of itself, an envoy.config.core.v3.Node, within bounds.
    """

    id: str
    user_agent: str
    version: str = ""
    encoded: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True)
class SotwRequest:
    """A DiscoveryRequest; `error` is the text of error_detail, None in an acknowledgement."""

    type_url: str
    node: Node | None = None
    version: str = ""
    nonce: str = ""
    names: frozenset[str] = frozenset()
    error: str | None = None

    @property
    def name_count(self) -> int:
        """How many names there are in it."""
        return len(self.names)

    def with_nonce(self, nonce: str) -> SotwRequest:
        """The same with another nonce."""
        # `dataclasses.replace` takes ten times as long, and each answer goes through here.
        return SotwRequest(self.type_url, self.node, self.version, nonce, self.names, self.error)


@dataclass(frozen=True, slots=True)
class DeltaRequest:
    """A DeltaDiscoveryRequest; `initial_versions` is what the client holds from before.

    Streams that say the same share one, and keep what they ask for as it is here.
    """

    type_url: str
    node: Node | None = None
    nonce: str = ""
    subscribe: frozenset[str] = frozenset()
    unsubscribe: frozenset[str] = frozenset()
    initial_versions: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None

    @property
    def name_count(self) -> int:
        """How many names there are in it."""
        return len(self.subscribe) + len(self.unsubscribe) + len(self.initial_versions)

    def with_nonce(self, nonce: str) -> DeltaRequest:
        """The same with another nonce."""
        return DeltaRequest(
            self.type_url,
            self.node,
            nonce,
            self.subscribe,
            self.unsubscribe,
            self.initial_versions,
            self.error,
        )


Request = SotwRequest | DeltaRequest


@dataclass(frozen=True, slots=True)
class Reply:
    """One response: a body that streams share, and the nonce that is this stream's own; `fresh` are
    the names whose resources the client takes as new.
    """

    type_url: str
    version: str
    nonce: str
    names: tuple[str, ...]
    body: bytes
    fresh: frozenset[str] = field(default=frozenset(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Ack:
    """The client has accepted the response of that version; `added` are the names in it under which
    it had nothing before.
    """

    type_url: str
    version: str
    added: frozenset[str] = field(default=frozenset(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Nack:
    """The client has rejected a response: which resources of it are bad, if that is known yet."""

    type_url: str
    version: str
    message: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Waited:
    """A wait for the client's answer is over, after so many seconds; *expired*: without it."""

    phase: str
    seconds: float
    expired: bool


Event = Reply | Ack | Nack | Waited
"""What one step of a session leads to, in order."""
