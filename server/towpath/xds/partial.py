"""Endpoints, routes and secrets in the state of the world: a response holds what is new, of the
names that the client asks for; what they lack goes with what refers to it (XP, «Deleting
resources»).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from towpath.model.snapshot import Resource, ResourceSet
from towpath.model.types import ENDPOINTS
from towpath.xds.absence import Fault
from towpath.xds.messages import Reply, SotwRequest
from towpath.xds.sotw import SotwSubstream
from towpath.xds.unanswered import Sent


class Partial(SotwSubstream):
    """One type whose responses hold what is new."""

    _complete: ResourceSet | None = None  # what was sent all that is wanted of

    @property
    def outdated(self) -> bool:
        return bool(self._due())

    def revoke(self) -> Reply | None:
        target = self._view.of(self.type_url)
        names = self.subscription.names & self.resources.keys()
        sending: list[Resource] = []
        for name in sorted(names):
            before = self.resources[name]
            left = None if name in target else self._view.left(before, self.type_url, name)
            if left is not None and left != before:
                sending.append(left)
        return self._reply_new(sending) if sending else None

    def narrow(self) -> Reply | None:
        target = self._view.of(self.type_url)
        sending: list[Resource] = []
        for name, before in sorted(self.resources.items()):
            after = target.get(name)
            if after is not None and after != before:
                narrowed = self._view.stand_in(before, after)
                if narrowed is not None and narrowed != before:
                    sending.append(narrowed)
        return self._reply_new(sending) if sending else None

    def push(self, *, keep: bool = False, owed_only: bool = False) -> Reply | None:
        del keep  # nothing is taken from the client anyhow
        due = self._due()
        sending = [r for r in due if r.name in self._owed] if owed_only else due
        faults = self._faults({r.name for r in due})
        reply = self._reply_new(sending, faults) if sending or faults else None
        all_sent = len(sending) == len(due) and not self._view.withheld(self.type_url)
        self._complete = self._view.of(self.type_url) if all_sent else None
        return reply

    def _recall(self, version: str) -> None:
        """A version does not say for which names it was."""

    def _fall_back(self, resources: Mapping[str, Resource]) -> None:
        super()._fall_back(resources)
        self._complete = None

    def _change_subscription(self, request: SotwRequest) -> None:
        before = self.subscription.names
        super()._change_subscription(request)
        if self.subscription.names != before:
            self._complete = None

    def _due(self) -> list[Resource]:
        """What the client is to be sent."""
        target = self._view.of(self.type_url)
        withheld = self._view.withheld(self.type_url)
        if self._complete is target and not withheld and not self._owed:
            return []
        wanted = (self._wanted(name, target, withheld) for name in sorted(self.subscription.names))
        return [
            resource
            for resource in wanted
            if resource is not None
            and (resource.name in self._owed or self.resources.get(resource.name) != resource)
        ]

    def _wanted(self, name: str, target: ResourceSet, withheld: frozenset[str]) -> Resource | None:
        """What is there, or what stands in for a name that never was on this stream."""
        resource = target.get(name)
        if resource is not None:
            return self._given(resource, withheld)
        if name in self.resources:
            return None
        if self._view.absence.stand_ins and self.type_url == ENDPOINTS:
            return self._view.closed(self.type_url, name)
        if name in self._brought:
            return self._view.unless_refused(self._view.left(None, self.type_url, name))
        return None

    def _absent(self) -> frozenset[str]:
        """What the client holds ends with what refers to it."""
        target = self._view.of(self.type_url)
        absent = frozenset(name for name in self.subscription.names if name not in target)
        return absent - self.resources.keys()

    def _reply_new(self, sending: Iterable[Resource], faults: tuple[Fault, ...] = ()) -> Reply:
        resources = {resource.name: resource for resource in sending}
        merged = {**self.resources, **resources}
        wanted = {name: merged[name] for name in sorted(self.subscription.names) if name in merged}
        sent = Sent.of(self._version_of(wanted), resources, resources, self.resources)
        self.resources = merged
        self._owed -= resources.keys()
        return self._reply(resources, sent, faults)
