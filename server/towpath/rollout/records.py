"""StreamRecords: what each stream was sent, has acknowledged, and has rejected."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from towpath.model.credentials import Subscriber
from towpath.model.names import Account, ClientKind, SidecarId
from towpath.model.snapshot import Resource


class State(StrEnum):
    """Where a stream stands."""

    WAITING_FOR_POD = "WAITING_FOR_POD"
    SERVING = "SERVING"


class Outcome(StrEnum):
    """The outcome of what a stream was sent, the worst first."""

    REJECTING = "rejecting"
    """The latest answer of a type was a rejection, or what was rejected is kept from it still."""
    POD_UNKNOWN = "waiting-for-pod"
    UNANSWERED = "unanswered"
    ACCEPTED = "accepted"


WORST_FIRST = tuple(Outcome)


REMEMBERED_NAMES = 64
"""Of the latest responses, by type and version."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response: its version, when (seconds since the epoch), and what was in it."""

    version: str
    at: float
    names: tuple[str, ...] = ()
    message: str = ""


@dataclass(slots=True)
class Delivery:
    """One resource type on one stream: the latest of each kind of message, and how many.

    `subscribed` counts the names asked for; 0 is all of them, by the wildcard.
    """

    sent: Response | None = None
    acknowledged: Response | None = None
    rejected: Response | None = None
    subscribed: int = 0
    responses: int = 0
    acknowledgements: int = 0
    rejections: int = 0


@dataclass(frozen=True, slots=True)
class Holding:
    """One resource type on one stream, name by name: which are asked for (all, by the wildcard),
    the version of each that was sent last, and which of those are not answered yet.
    """

    names: frozenset[str]
    wildcard: bool
    versions: Mapping[str, str]
    pending: frozenset[str]


def _nothing(*_: str) -> None:
    return None


@dataclass(slots=True)
class StreamRecord:
    """One stream, from the moment it said who it is until it ends.

    `node` is what it said of itself, an encoded envoy.config.core.v3.Node; `holding` gives, by type
    URL, what is known of each resource, None for a type that was not asked for; `accepted`, by type
    URL and name, the one that the client has accepted, if that is known. `subscriber` is who its
    credential proved it to be; None: it showed none that counts.
    """

    stream: int
    peer: str
    node_id: str
    sidecar: SidecarId
    kind: ClientKind
    variant: str
    connected_at: float
    state: State = State.WAITING_FOR_POD
    account: Account | None = None
    snapshot: str = ""  # version of the newest snapshot that the stream was stepped to
    settled: bool = False  # every response so far has been answered
    acknowledged_through: int = -1  # revision of the mesh all of which was once accepted
    types: dict[str, Delivery] = field(default_factory=dict)
    node: bytes = b""
    holding: Callable[[str], Holding | None] = _nothing
    accepted: Callable[[str, str], Resource | None] = _nothing
    subscriber: Subscriber | None = None

    def acknowledged(self, version: str) -> bool:
        """True if the sidecar has accepted all of the snapshot of that version."""
        return self.settled and self.snapshot == version and not self.rejects

    @property
    def authenticated(self) -> bool:
        """True if a certificate or a token has proved, over TLS, whose sidecar it is."""
        return self.subscriber is not None

    @property
    def rejects(self) -> bool:
        """True if the latest answer of a type was a rejection."""
        return any(delivery.rejected for delivery in self.types.values())

    @property
    def outcome(self) -> Outcome:
        """The outcome of what it was sent."""
        if self.state is State.WAITING_FOR_POD:
            return Outcome.POD_UNKNOWN
        if self.rejects:
            return Outcome.REJECTING
        return Outcome.ACCEPTED if self.settled else Outcome.UNANSWERED

    def of(self, type_url: str) -> Delivery:
        delivery = self.types.get(type_url)
        if delivery is None:
            delivery = self.types[type_url] = Delivery()
        return delivery

    def introduce(self, node: bytes) -> None:
        """The client has said who it is."""
        self.node = node

    def set_holding(
        self,
        holding: Callable[[str], Holding | None],
        accepted: Callable[[str, str], Resource | None],
    ) -> None:
        """What is known of each resource is to be asked of *holding* and *accepted*."""
        self.holding, self.accepted = holding, accepted

    def step_to(self, version: str) -> None:
        """The stream goes by the snapshot of that version now."""
        self.snapshot = version

    def subscribe(self, type_url: str, count: int) -> None:
        """The client asks for so many names of a type; 0: for all."""
        self.of(type_url).subscribed = count


class StreamRecords:
    """All streams that are open now; *clock* gives seconds since the epoch.

    *on_change* is called when a stream comes, goes, or has answered all it was sent.
    """

    def __init__(
        self, *, clock: Callable[[], float], on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._numbers = itertools.count(1)
        self._open: dict[int, StreamRecord] = {}
        self.ended = 0
        """How many streams have ended, ever."""
        self._names: OrderedDict[tuple[str, str], tuple[str, ...]] = OrderedDict()

    def open(
        self,
        *,
        peer: str,
        node_id: str,
        sidecar: SidecarId,
        kind: ClientKind,
        variant: str,
        subscriber: Subscriber | None = None,
    ) -> StreamRecord:
        record = StreamRecord(
            next(self._numbers),
            peer,
            node_id,
            sidecar,
            kind,
            variant,
            self._clock(),
            subscriber=subscriber,
        )
        self._open[record.stream] = record
        self._on_change()
        return record

    def close(self, record: StreamRecord) -> None:
        self.ended += self._open.pop(record.stream, None) is not None
        self._on_change()

    def sent(
        self, record: StreamRecord, type_url: str, *, version: str, names: tuple[str, ...]
    ) -> None:
        delivery = record.of(type_url)
        # Of one version many streams are sent the same names, and each record keeps them.
        same = self._names.setdefault((type_url, version), names)
        names = same if same == names else names
        if len(self._names) > REMEMBERED_NAMES:
            self._names.popitem(last=False)
        delivery.sent = Response(version, self._clock(), names)
        delivery.responses += 1

    def acknowledged(
        self, record: StreamRecord, type_url: str, *, version: str, whole: bool = True
    ) -> None:
        """Note an acknowledgement; *whole*: nothing of that type is blocked for the client."""
        delivery = record.of(type_url)
        delivery.acknowledged = Response(version, self._clock())
        if whole:
            delivery.rejected = None
        delivery.acknowledgements += 1

    def rejected(
        self,
        record: StreamRecord,
        type_url: str,
        *,
        version: str,
        names: tuple[str, ...],
        message: str,
    ) -> None:
        delivery = record.of(type_url)
        delivery.rejected = Response(version, self._clock(), names, message)
        delivery.rejections += 1

    def settled(self, record: StreamRecord, *, now: bool) -> None:
        """Say whether every response so far has been answered."""
        if record.settled is not now:
            record.settled = now
            self._on_change()

    def __iter__(self) -> Iterator[StreamRecord]:
        return iter(tuple(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)
