"""Stream: the hub's end of one sidecar's subscriptions; only the newest snapshot is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from towpath.hub.subscriptions import Subscriptions
from towpath.model.credentials import Subscriber
from towpath.model.names import Account
from towpath.model.snapshot import Snapshot
from towpath.model.types import SECRET
from towpath.model.workloads import Pod
from towpath.rollout.clients import ClientRecord
from towpath.rollout.content import ClientBuild
from towpath.rollout.quarantine import Quarantine
from towpath.rollout.records import State, StreamRecord


class NotItsPodError(Exception):
    """The stream's node id names a pod of another service account than *subscriber*."""

    def __init__(self, subscriber: Account) -> None:
        super().__init__(f"the pod is not one of {subscriber}")
        self.subscriber = subscriber


class PodGoneError(Exception):
    """The one pod that the stream was for does not exist any more."""


class Stream:
    """Where the hub puts a snapshot, and where its reader takes the newest one from.

    A reader that is busy skips what came in between; an equal snapshot wakes nobody. *subscriber*
    is whose pod it is for; None: anybody's. Its client, of that *build*, has a record in
    *quarantine* from when it is known whose pod that is until `close`. *subscriptions* say what
    endpoints its snapshot has, and note which of them it asks for.
    """

    def __init__(
        self,
        record: StreamRecord,
        *,
        quarantine: Quarantine,
        subscriptions: Subscriptions,
        build: ClientBuild,
        subscriber: Subscriber | None,
    ) -> None:
        self.record = record
        self._subscriptions = subscriptions
        self._quarantine = quarantine
        self.build = build
        self._client: ClientRecord | None = None
        self._subscriber = subscriber
        self._refusal: NotItsPodError | PodGoneError | None = None
        self._admits = False  # as of the last `admits`
        self._closed = False
        self.offered: Snapshot | None = None
        """The latest that was published to it, as it was."""
        self._snapshot: Snapshot | None = None  # the newest; its endpoints may be older
        self._read: Snapshot | None = None  # what the reader took last
        self._changed_at: float | None = None
        self._taken = True  # what there is for the reader
        self._completed = -1  # as of which revision of the endpoints the newest was completed
        self._woken = asyncio.Event()
        self.sees_another = False
        """Its pod is not there, and another has its name."""
        self.subscribe(frozenset())

    def publish(
        self, snapshot: Snapshot, *, account: Account, revision: int, changed_at: float | None
    ) -> None:
        """Offer the snapshot of a revision of the mesh to its pod, of *account*, that is admitted.

        *changed_at* is the monotonic time of the change that led to it.
        """
        if self._refusal is not None or self._closed:
            return
        again, self.offered = self.offered is snapshot, snapshot
        if self._subscriber is None:
            # Nobody has proved who that is.
            snapshot = snapshot.without(SECRET)
        if self._client is None:
            self._client = self._quarantine.client(self.record.node_id, self.build, account)
            self._client.open(self)
        self.record.state = State.SERVING
        self.record.account = self._client.account = account
        if again:
            return
        before = self._snapshot
        if before is not None and snapshot.same_but_endpoints(before):
            apart = snapshot.destinations is not None  # endpoints: see `Subscriptions`
            if snapshot.destinations == before.destinations if apart else snapshot == before:
                return
        if before is not None and self.record.acknowledged(before.version):
            self.record.acknowledged_through = revision - 1
        self._replace(snapshot)
        self.push(changed_at)

    def push(self, changed_at: float | None = None) -> None:
        """Have the reader take the snapshot: it, its endpoints, or what its client may be sent of
        it has changed. *changed_at* as for `publish`.
        """
        if self._snapshot is None:
            return
        if self._taken:
            self._changed_at = changed_at
        self._taken = False
        self._woken.set()

    def subscribe(self, names: frozenset[str] | None) -> None:
        """Its client asks for these endpoints now; None: for all there are."""
        self._subscriptions.subscribe(self, names)

    def close(self) -> None:
        """Its reader is gone."""
        self._closed = True
        self._subscriptions.remove(self)
        self._subscriptions.move(self.destinations, None)
        if self._client is not None:
            self._quarantine.close(self._client, self)

    def admits(self, pod: Pod | None) -> bool:
        """True if it is for the pod that now has the name; None: there is none.

        For a pod of another account than the subscriber's the stream is over: its reader gets
        NotItsPodError, and nothing else any more. Whoever subscribed as one pod waits for that one,
        and gets PodGoneError when it is gone.
        """
        self._admits = self._is_for(pod)
        return self._admits

    def _is_for(self, pod: Pod | None) -> bool:
        if self._refusal is None and (subscriber := self._subscriber) is not None:
            its = pod is not None and subscriber.means(pod)
            self.sees_another = pod is not None and not its
            if its and pod is not None and pod.account != subscriber.account:
                self._refuse(NotItsPodError(subscriber.account))
            elif not its and subscriber.uid and self.admitted:
                self._refuse(PodGoneError())
            elif not its:
                return False
        return self._refusal is None and pod is not None

    @property
    def serves(self) -> bool:
        """True if it has been given a snapshot, and is for the pod that last had the name."""
        return self._admits and self._client is not None

    def _refuse(self, refusal: NotItsPodError | PodGoneError) -> None:
        self._refusal = refusal
        self._woken.set()

    @property
    def client(self) -> ClientRecord:
        """That of its client, which it has from its first snapshot on."""
        assert self._client is not None, "nobody knows yet who that is"
        return self._client

    @property
    def admitted(self) -> bool:
        """True once it was given a snapshot."""
        return self._client is not None

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest snapshot, taken or not."""
        return None if self._snapshot is None else self._subscriptions.complete(self._snapshot)

    @property
    def destinations(self) -> Hashable:
        """Whose endpoints its snapshot has; None: they are not apart, or there is no snapshot."""
        return None if self._snapshot is None else self._snapshot.destinations

    def nudge(self) -> None:
        """What its client may be sent of the snapshot has changed."""
        self.push()

    def wake(self) -> None:
        """Have the reader look, though there may be nothing to take."""
        self._woken.set()

    async def woken(self) -> None:
        """Wait until there may be something to take, or the reader is woken."""
        await self._woken.wait()

    def take(self) -> tuple[Snapshot, float | None] | None:
        """A snapshot that was not taken yet, and its change's time; None if there is none."""
        self._woken.clear()
        if self._refusal is not None:
            raise self._refusal
        if self._taken:
            return None
        self._taken = True
        return self._newest(), self._changed_at

    def overtaken(self) -> Snapshot | None:
        """A newer snapshot than was taken, of which the reader was not told as its client did not
        ask for what has changed: the reader must take it before the client is given more.
        """
        before = self._read
        if not self._taken or before is None or self._completed == self._subscriptions.revision:
            return None
        newest = self._newest()
        return None if newest is before else newest

    def _newest(self) -> Snapshot:
        """What the reader goes by from now on."""
        assert self._snapshot is not None
        self._replace(self._snapshot)
        self._read = self._snapshot
        return self._read

    def _replace(self, snapshot: Snapshot) -> None:
        """Take a snapshot, with its present endpoints, for the newest."""
        self._completed = self._subscriptions.revision
        before, self._snapshot = self._snapshot, self._subscriptions.complete(snapshot)
        if self._snapshot is not before:
            old = before and before.destinations
            if old is not snapshot.destinations:
                self._subscriptions.move(old, snapshot.destinations)
            self.client.show(self, self._snapshot)

    async def next(self) -> tuple[Snapshot, float | None]:
        """Wait for a snapshot that was not taken yet; gives it and its change's time."""
        while True:
            await self.woken()
            taken = self.take()
            if taken is not None:
                return taken
