"""Responses that a client has not answered yet, and what each of them says of what it holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from towpath.model.snapshot import Resource
from towpath.xds.holdings import Holdings

MOST_UNANSWERED = 32
"""How many responses of one type a client may leave unanswered: of older ones nothing is known any
more, and in the delta variant it is sent no other until it answers, but for what takes access away.
"""


@dataclass(slots=True)
class Sent:
    """A response that is not answered yet: what in it the client had not held, and what it held
    before under the same names; *unsure*: that hangs on answers that may never come; *untried*: in
    this response, which a later one has overtaken, the client tries nothing.
    """

    version: str
    new: dict[str, Resource]
    before: dict[str, Resource]
    unsure: bool = False
    untried: bool = False

    @classmethod
    def of(
        cls,
        version: str,
        names: Iterable[str],
        resources: Mapping[str, Resource],
        previous: Holdings,
    ) -> Sent:
        """What of *resources* under *names* is new to a client that holds *previous*."""
        new, before = dict[str, Resource](), dict[str, Resource]()
        for name in names:
            resource, old = resources.get(name), previous.find(name)
            if resource is None or resource is old or resource == old:
                continue
            new[name] = resource
            if old is not None:
                before[name] = old
        return cls(version, new, before)

    def copy(self) -> Sent:
        return Sent(self.version, dict(self.new), dict(self.before), self.unsure, self.untried)

    def rest_on(self, other: Sent, resources: Mapping[str, Resource]) -> None:
        """Take *other* into account, which is unanswered too and was overtaken by this response:
        the client may not hold what was new in it.
        """
        self.unsure = True
        self.repeat(other, resources)
        for name, resource in other.new.items():
            if self.before.get(name) == resource:
                self.forget(name, other)

    def repeat(self, other: Sent, resources: Mapping[str, Resource]) -> None:
        """Of *resources*, which are in this response, take for new what was new in *other* too, an
        earlier one: the client has not accepted it yet.
        """
        for name, resource in other.new.items():
            if name not in self.new and resources.get(name) == resource:
                self.new[name] = resource
                self.forget(name, other)

    def confirm(self, other: Sent) -> None:
        """The client did accept *other*, which this response had overtaken."""
        for name, resource in other.new.items():
            if self.new.get(name) == resource:
                del self.new[name]
                self.before.pop(name, None)
            elif name in self.new:
                self.before[name] = resource

    def let_go(self, earlier: Iterable[Sent]) -> None:
        """A later response takes this one's place: keep none of its bytes but of what the client
        had accepted before, which is in no *earlier* one that it has not answered.
        """
        unsure = {(r.name, r.version) for sent in earlier for r in sent.new.values()}
        self.new = {name: resource.without_bytes() for name, resource in self.new.items()}
        self.before = {
            n: r.without_bytes() if (r.name, r.version) in unsure else r
            for n, r in self.before.items()
        }

    def forget(self, name: str, other: Sent) -> None:
        """The client does not hold what *other* brought under that name, but what was before."""
        if name in other.before:
            self.before[name] = other.before[name]
        else:
            self.before.pop(name, None)


class Unanswered:
    """The unanswered responses of one type, by nonce, the oldest first; at most *most*."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.responses: OrderedDict[str, Sent] = OrderedDict()

    @property
    def latest(self) -> Sent | None:
        """The response that was sent last, if it is unanswered."""
        return next(reversed(self.responses.values()), None)

    def add(self, nonce: str, sent: Sent) -> None:
        """A response is sent, in place of all that are unanswered."""
        *earlier, latest = self.responses.values() or (None,)
        if latest is not None:
            latest.let_go(earlier)
        if len(self.responses) >= self._most:
            self.responses.popitem(last=False)
        self.responses[nonce] = sent

    def pop(self, nonce: str) -> Sent | None:
        """The response of that nonce, which is answered now; None if there is none."""
        return self.responses.pop(nonce, None)

    def fork(self) -> Unanswered:
        """Another one that is the same."""
        other = Unanswered(self._most)
        copies = ((nonce, sent.copy()) for nonce, sent in self.responses.items())
        other.responses = OrderedDict(copies)
        return other

    def clear(self) -> None:
        """The client has answered the latest: it will answer no earlier one."""
        self.responses.clear()

    def __iter__(self) -> Iterator[Sent]:
        return iter(self.responses.values())

    def __len__(self) -> int:
        return len(self.responses)
