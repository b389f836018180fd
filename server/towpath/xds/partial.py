"""Endpoints, routes and secrets in the state of the world: a response holds what is new, of the
names that the client asks for; what they lack goes with what refers to it (XP, «Deleting
resources»).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from towpath.model.snapshot import Resource, ResourceSet
from towpath.model.types import ENDPOINTS
from towpath.xds.absence import MOST_TOLD, Fault
from towpath.xds.messages import Reply
from towpath.xds.sotw import SotwSubstream
from towpath.xds.substream import never
from towpath.xds.unanswered import Sent


class Partial(SotwSubstream):
    """One type whose responses hold what is new."""

    @property
    def outdated(self) -> bool:
        return bool(self._due())

    def revoke(self) -> Reply | None:
        target = self._view.sets[self.type_url]
        sending: list[Resource] = []
        for name, before in self._differing(target):
            left = None if name in target else self._view.left(before, self.type_url, name)
            if left is not None and left != before:
                sending.append(left)
        return self._reply_new(sending) if sending else None

    def narrow(self) -> Reply | None:
        target = self._view.sets[self.type_url]
        sending: list[Resource] = []
        for name, before in self._differing(target):
            after = target.find(name)
            if after is not None and after != before:
                narrowed = self._view.stand_in(before, after)
                if narrowed is not None and narrowed != before:
                    sending.append(narrowed)
        return self._reply_new(sending) if sending else None

    def _differing(self, target: ResourceSet) -> list[tuple[str, Resource]]:
        """What the client holds, of what may not be the same in *target*; in the order of names."""
        names = sorted(self.resources.differing(target))
        pairs = [(name, self.resources.find(name)) for name in names]
        return [(name, resource) for name, resource in pairs if resource is not None]

    def push(self, *, keep: Callable[[], bool] = never, owed_only: bool = False) -> Reply | None:
        del keep  # nothing is taken from the client anyhow
        due = self._due()
        sending = [r for r in due if r.name in self._owed] if owed_only else due
        faults = self._faults({r.name for r in due})
        reply = self._reply_new(sending, faults) if sending or faults else None
        # With so many there may be more stand-ins.
        if len(sending) == len(due) < MOST_TOLD:
            self._begin_rest()
        return reply

    def _recall(self, version: str) -> None:
        """A version does not say for which names it was."""

    def _due(self) -> list[Resource]:
        """What the client is to be sent."""
        target = self._view.sets[self.type_url]
        blocked = self._view.blocked(self.type_url)
        absent = self._missing()
        candidates = self.resources.differing(target) | blocked | self._owed
        due: list[Resource] = []
        for name in (candidates & self.subscription.names) - absent:
            resource = self._given(target[name], blocked)
            if resource is not None and (
                name in self._owed or self.resources.find(name) != resource
            ):
                due.append(resource)
        return sorted([*due, *self._stand_ins(absent)], key=lambda resource: resource.name)

    def _stand_ins(self, absent: frozenset[str]) -> list[Resource]:
        """What stands in for some of the names that never were there on this stream."""
        new = absent - self.resources.among(absent)
        if self._view.absence.stand_ins and self.type_url == ENDPOINTS:
            candidates = (self._view.closed(self.type_url, name) for name in sorted(new))
        else:
            candidates = (self._left_of(name) for name in sorted(new & self._brought))
        there = (resource for resource in candidates if resource is not None)
        return list(islice(there, MOST_TOLD))

    def _left_of(self, name: str) -> Resource | None:
        """Of what the client may hold from before this stream."""
        return self._view.unless_refused(self._view.left(None, self.type_url, name))

    def _absent(self) -> frozenset[str]:
        """What the client holds ends with what refers to it."""
        absent = self._missing()
        return absent - self.resources.among(absent)

    def _reply_new(self, sending: Iterable[Resource], faults: tuple[Fault, ...] = ()) -> Reply:
        resources = {resource.name: resource for resource in sending}
        after = self.resources.changed(resources).over(self._view.sets[self.type_url])
        sent = Sent.of(self._version_of(after), resources, resources, self.resources)
        self.resources = after
        self._owed -= resources.keys()
        return self._reply(resources, sent, faults)
