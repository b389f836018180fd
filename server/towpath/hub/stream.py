"""Stream: the hub's end of one sidecar's subscription; only the newest snapshot is kept."""

from __future__ import annotations

import asyncio

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
    *quarantine* from when it is known whose pod that is until `close`.
    """

    def __init__(
        self,
        record: StreamRecord,
        *,
        quarantine: Quarantine,
        build: ClientBuild,
        subscriber: Subscriber | None,
    ) -> None:
        self.record = record
        self._quarantine = quarantine
        self._build = build
        self._client: ClientRecord | None = None
        self._subscriber = subscriber
        self._refusal: NotItsPodError | PodGoneError | None = None
        self._snapshot: Snapshot | None = None
        self._changed_at: float | None = None
        self._taken = True  # what there is for the reader
        self._woken = asyncio.Event()
        self.sees_another = False
        """Its pod is not there, and another has its name."""

    def publish(
        self, snapshot: Snapshot, *, account: Account, revision: int, changed_at: float | None
    ) -> None:
        """Offer the snapshot of a revision of the mesh to its pod, of *account*, that is admitted.

        *changed_at* is the monotonic time of the change that led to it.
        """
        if self._refusal is not None:
            return
        if self._subscriber is None:
            # Nobody has proved who that is.
            snapshot = snapshot.without(SECRET)
        if self._client is None:
            self._client = self._quarantine.client(self.record.node_id, self._build, account)
            self._client.open(self)
        self.record.state = State.SERVING
        self.record.account = self._client.account = account
        if snapshot == self._snapshot:
            return
        if self._snapshot is not None and self.record.acknowledged(self._snapshot.version):
            self.record.acknowledged_through = revision - 1
        self._snapshot = snapshot
        self._client.show(self, snapshot)
        if self._taken:
            self._changed_at = changed_at
        self._taken = False
        self._woken.set()

    def close(self) -> None:
        """Its reader is gone."""
        if self._client is not None:
            self._quarantine.close(self._client, self)

    def admits(self, pod: Pod | None) -> bool:
        """True if it is for the pod that now has the name; None: there is none.

        For a pod of another account than the subscriber's the stream is over: its reader gets
        NotItsPodError, and nothing else any more. Whoever subscribed as one pod waits for that one,
        and gets PodGoneError when it is gone.
        """
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
    def over(self) -> bool:
        """True once it has been refused: nothing is published to it any more."""
        return self._refusal is not None

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
        return self._snapshot

    def nudge(self) -> None:
        """Have the reader take the snapshot again: the client's client has changed."""
        if self._snapshot is not None and self._taken:
            self._changed_at = None
            self._taken = False
            self._woken.set()

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
        assert self._snapshot is not None
        return self._snapshot, self._changed_at

    async def next(self) -> tuple[Snapshot, float | None]:
        """Wait for a snapshot that was not taken yet; gives it and its change's time."""
        while True:
            await self.woken()
            taken = self.take()
            if taken is not None:
                return taken
