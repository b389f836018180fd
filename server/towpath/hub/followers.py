"""Followers: who waits for which answer, and what is kept for a while after they left."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Set

from towpath.hub.queries import Question
from towpath.hub.stream import Stream
from towpath.hub.watch import Watch
from towpath.model.names import Account
from towpath.model.snapshot import Layer
from towpath.rollout.clients import Content, Flavour, Standing

REMEMBERED_SECONDS = 60.0
"""For how long what a sidecar was to hold is remembered after its last stream has ended."""

REMEMBERED_LEFT = 1000
"""For how many such sidecars."""


class Followers:
    """Streams and watches by the question whose answer they follow.

    *clock* is monotonic, in seconds; *forget* is told of a question that nobody follows any more.
    """

    def __init__(self, *, clock: Callable[[], float], forget: Callable[[Question], None]) -> None:
        self._clock = clock
        self._forget = forget
        self._streams: dict[Question, set[Stream]] = {}
        self._watches: dict[Question, set[Watch]] = {}
        self._left: OrderedDict[Question, float] = OrderedDict()  # when the last stream ended

    def add(self, question: Question, stream: Stream) -> None:
        self._streams.setdefault(question, set()).add(stream)

    def remove(self, question: Question, stream: Stream) -> bool:
        """Its stream has ended, and may come back; gives whether it was the question's last."""
        streams = self._streams.get(question, set())
        streams.discard(stream)
        if streams:
            return False
        self._streams.pop(question, None)
        if stream.admitted:
            self._left[question] = self._clock()
            self._left.move_to_end(question)
        self.forget_left()
        self.forget_unused(question)
        return True

    def add_watch(self, question: Question, watch: Watch) -> None:
        self._watches.setdefault(question, set()).add(watch)

    def remove_watch(self, question: Question, watch: Watch) -> None:
        """Nobody who looks on comes back."""
        watches = self._watches.get(question, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(question, None)
            self.forget_unused(question)

    def questions(self) -> Set[Question]:
        """All that is followed."""
        return self._streams.keys() | self._watches.keys()

    def streams_of(self, question: Question) -> tuple[Stream, ...]:
        return tuple(self._streams.get(question, ()))

    def watches_of(self, question: Question) -> tuple[Watch, ...]:
        return tuple(self._watches.get(question, ()))

    def streams(self) -> Iterator[Stream]:
        """All that are open."""
        return (stream for streams in self._streams.values() for stream in streams)

    def forget_unused(self, question: Question) -> None:
        """Whoever asks of any name leaves no trace."""
        used = (self._streams, self._watches, self._left)
        if not any(question in kept for kept in used):
            self._forget(question)

    def forget_left(self) -> None:
        """Forget what was made for sidecars that have not come back."""
        too_old = self._clock() - REMEMBERED_SECONDS
        while self._left and (
            len(self._left) > REMEMBERED_LEFT or next(iter(self._left.values())) <= too_old
        ):
            question, _ = self._left.popitem(last=False)
            self.forget_unused(question)

    def another_account_has(self, flavour: Flavour, account: Account | None, of: Content) -> bool:
        """What is in no snapshot stood in for something, as it may for a client of any account."""
        holders = {holder.account for holder in self._holders(flavour, of)}
        return not holders or holders != {account}

    def in_use(self) -> Callable[[Flavour, Content], bool]:
        """Says of content whether it is in the snapshot of a connected client of a flavour."""
        layers: dict[tuple[Flavour, str], set[Layer]] = {}
        for stream in self.streams():
            if stream.snapshot is not None:
                for type_url, held in stream.snapshot.sets.items():
                    of_type = layers.setdefault((stream.standing.flavour, type_url), set())
                    of_type.update(held.layers)

        def in_use(flavour: Flavour, of: Content) -> bool:
            type_url, name, version = of
            for layer in layers.get((flavour, type_url), ()):
                resource = layer.find(name)
                if resource is not None and resource.version == version:
                    return True
            return False

        return in_use

    def _holders(self, flavour: Flavour, of: Content) -> Iterator[Standing]:
        """Clients in whose snapshots that content is."""
        type_url, name, version = of
        for stream in self.streams():
            if stream.snapshot is not None and stream.standing.flavour == flavour:
                resource = stream.snapshot.of(type_url).get(name)
                if resource is not None and resource.version == version:
                    yield stream.standing
