"""The snapshot as one client may be sent it: without what is blocked, and with what stands in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from functools import partial
from typing import Self

from towpath.model.snapshot import Resource, ResourceSet, Snapshot
from towpath.model.types import SECRET
from towpath.rollout.clients import ClientRecord
from towpath.xds.absence import DEFAULT, AbsencePolicy, Fault, faults

Effect = Callable[[ClientRecord], None]
"""What a step did to its client, to be done to others that take the same step."""


class _Sets(dict[str, ResourceSet]):
    """What was asked for of a snapshot, by type."""

    def __init__(self, snapshot: Snapshot, sets: Mapping[str, ResourceSet]) -> None:
        super().__init__(sets)
        self._snapshot = snapshot

    def __missing__(self, type_url: str) -> ResourceSet:
        resources = self[type_url] = self._snapshot.of(type_url)
        return resources


class View:
    """What one stream goes by: the newest snapshot, and what its client must not be sent of it.

    `client` is what is known of the client; `absence` how it is told of what is not there.
    """

    def __init__(self, client: ClientRecord) -> None:
        self.client = client
        self.absence: AbsencePolicy = DEFAULT
        self._snapshot = Snapshot({})
        self.sets: dict[str, ResourceSet] = _Sets(self._snapshot, {})
        """By type, all resources, blocked or not; while their layers, and what may be said in place
        of what is in them, stay the same, the same object from one snapshot to the next. `get`
        gives only those that were asked for.
        """
        self.moment = object()
        """Another one whenever a snapshot is taken, or the client is another."""
        self._blocked: dict[str, tuple[int, frozenset[str]]] = {}  # as of a revision of the client

        self.effects: list[Effect] | None = None
        """Where they are noted, if they are to be."""

    def fork(self) -> Self:
        """Another one that is the same."""
        other = copy(self)
        other.part()
        return other

    def part(self) -> None:
        """Share nothing that changes with the one that this is a copy of."""
        self.sets, self._blocked = _Sets(self._snapshot, self.sets), {}

    def bind(self, client: ClientRecord) -> None:
        """See it as that client may."""
        if self.client is not client:
            self.client, self.moment = client, object()
            self._blocked.clear()

    def enrol(self, resources: Iterable[Resource]) -> None:
        """The client is about to be sent these."""
        resources = tuple(resources)
        # To be a canary blocks nothing else for the client itself.
        valid = self._valid(self._blocked)
        self.client.enrol(resources)
        self._remember(valid.items())
        if self.effects is not None:
            contents = [_without_key(resource) for resource in resources]
            self.effects.append(lambda client: client.enrol(contents))

    def accept(self, type_url: str, resources: Mapping[str, Resource]) -> None:
        """The client has accepted these; what is accepted once more changes nothing."""
        revision = self.client.revisions[type_url]
        self.client.accepted(type_url, resources)
        if self.effects is not None and revision != self.client.revisions[type_url]:
            contents = {name: _without_key(one) for name, one in resources.items()}
            self.effects.append(lambda client: client.accepted(type_url, contents))

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    def take(self, snapshot: Snapshot, blocked: Iterable[tuple[str, frozenset[str]]] = ()) -> None:
        """Go by a newer snapshot, or by the same one as it may be sent now. *blocked* says by type
        what of it is, as far as somebody has asked.
        """
        old, self._snapshot = self._snapshot, snapshot
        if snapshot.vocabulary == old.vocabulary:
            sets = self.sets.items()
            same = {t: one for t, one in sets if one.layers == snapshot.of(t).layers}
            self.sets = _Sets(snapshot, same)
        else:
            self.sets = _Sets(snapshot, {})
        self.moment = object()
        self._blocked.clear()
        self._remember(blocked)

    def _valid(self, types: Iterable[str]) -> dict[str, frozenset[str]]:
        """What the client has answered of these types, as far as it would answer the same now."""
        revisions, answers = self.client.revisions, self._blocked
        return {t: answers[t][1] for t in types if t in answers and answers[t][0] == revisions[t]}

    def _remember(self, blocked: Iterable[tuple[str, frozenset[str]]]) -> None:
        revisions = self.client.revisions
        self._blocked.update({t: (revisions[t], names) for t, names in blocked})

    def blocked(self, type_url: str) -> frozenset[str]:
        """Names of that type whose resources must not be sent to the client now.

        Equal answers are the same object: the client is asked once for each of its revisions.
        """
        names = self._valid((type_url,)).get(type_url)
        if names is None:
            names = self.client.blocked(self.sets[type_url])
            self._blocked[type_url] = self.client.revisions[type_url], names
        return names

    def lacking(self, types: Iterable[str]) -> frozenset[str]:
        """Of *types*, those of which something must not be sent to the client now."""
        types = tuple(types)
        valid = self._valid(types)
        return frozenset([t for t in types if (valid[t] if t in valid else self.blocked(t))])

    def left(self, before: Resource | None, type_url: str, name: str) -> Resource | None:
        """What the client is to hold of a resource that is gone: see `Snapshot.left`."""
        return self._snapshot.left(before, type_url, name)

    def closed(self, type_url: str, name: str) -> Resource | None:
        """The resource of that name that lets nothing through, if there is one for the client."""
        return self.unless_refused(self._snapshot.vocabulary.closed(type_url, name))

    def stand_in(self, before: Resource | None, resource: Resource) -> Resource | None:
        """What a client that holds *before* gets in place of a resource that is blocked for it.

        Never more than *resource* lets through: what *before* has of it, else nothing at all. A
        resource that is only blocked for a while is left out where there was none before. Of types
        that lead to nothing the client keeps what it holds.
        """
        vocabulary, present = self._snapshot.vocabulary, before
        if before is None or not before.packed:
            before = self.client.base(resource)
        if before is None and not self.client.refuses(resource):
            return None
        both = before and self.client.intersection(vocabulary, before, resource)
        # If all of *before* is let through, the answer is the same should it be the closed one.
        if both is not None and both == before and not self.client.refuses(both):
            return both
        closed = vocabulary.closed(resource.type_url, resource.name)
        if both is not None and before != closed and not self.client.refuses(both):
            return both
        if closed is None and resource.type_url in vocabulary.kept:
            return present
        return self.unless_refused(closed)

    def faults(self, type_url: str, names: Iterable[str]) -> tuple[Fault, ...]:
        """Why each of *names*, which are not there, is not; nothing for who cannot be told."""
        if not self.absence.faults:
            return ()
        forbidden = partial(self._snapshot.vocabulary.forbidden, type_url)
        return faults(names, self._snapshot.of(type_url), forbidden=forbidden)

    def unless_refused(self, resource: Resource | None) -> Resource | None:
        """The resource, if the client, or its like, has not rejected this very content."""
        return None if resource is None or self.client.refuses(resource) else resource


def _without_key(resource: Resource) -> Resource:
    """To be noted: which content it is, and no private key."""
    return resource.without_bytes() if resource.type_url == SECRET else resource
