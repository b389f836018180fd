"""Reports: what each replica that stands by counts of its own sidecars, for the one that writes.

A report is a Lease of the replica's own: whoever stops renewing it is no longer counted, and the
counts are its annotation. What one cannot hold goes on in further Leases, its pages, which are
written when they say something new, and count as long as the first is renewed. Nothing else is
shared, and no replica has to reach another.
"""

from __future__ import annotations

import base64
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from towpath.answers.status import Counts, PolicyStatus
from towpath.kubeapi.client import KubeApi, KubeApiError, decoded, needing
from towpath.kubeapi.lease import micro_time
from towpath.kubeapi.paths import LEASES
from towpath.model.names import Stamp

log = logging.getLogger(__name__)

PREFIX = "towpath-replica-"
LABEL = ("app.kubernetes.io/component", "towpath-replica")
ANNOTATION = "towpath/counts"
RENEW_S = 10.0
DURATION_S = 30.0
LEFT_BEHIND_S = 600.0
"""A report of a replica that died is deleted after this long."""
LARGEST = 200 * 1024
"""Bytes of counts on one page; Kubernetes takes 256 KiB of annotations."""
PAGE_PREFIX = "towpath-page-"
"""How the names of further pages begin: their number, from 2 on, then the replica's name."""

Heard = Mapping[Stamp, Counts]
"""Counts by what they speak of: one generation of one object."""


@dataclass(slots=True)
class _Other:
    """A page of another replica's report, and since when (monotonic) it has not been renewed."""

    renewed: str | None
    seen_at: float
    heard: Heard
    swept: bool = False  # its deletion was asked for


class _Metadata(msgspec.Struct, frozen=True):
    name: str
    annotations: dict[str, str] | None = None


class _Spec(msgspec.Struct, frozen=True):
    renewed: str | None = msgspec.field(default=None, name="renewTime")


class _Lease(msgspec.Struct, frozen=True):
    metadata: _Metadata
    spec: _Spec = _Spec()

    @property
    def page(self) -> tuple[str, int]:
        """Whose it is, and which of his pages."""
        if not self.metadata.name.startswith(PAGE_PREFIX):
            return self.metadata.name.removeprefix(PREFIX), 1
        number, _, identity = self.metadata.name.removeprefix(PAGE_PREFIX).partition("-")
        return identity, int(number) if number.isdecimal() else 1


class _Leases(msgspec.Struct, frozen=True):
    items: list[_Lease] | None = None


_LEASES = msgspec.json.Decoder(_Leases)
_ROWS = msgspec.json.Decoder(list[tuple[str, int, int, int, int]])


class Reports:
    """One replica's own report, and what it knows of the others'.

    *clock* is monotonic, in seconds; *now* gives the time that people read.
    """

    def __init__(
        self,
        api: KubeApi,
        *,
        namespace: str,
        identity: str,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._now = now
        self._pages: list[str] = []  # what our report says, page by page
        self._told_at: float | None = None  # when its first page was written
        self._others: dict[tuple[str, int], _Other] = {}
        self._counted: tuple[str, ...] = ()  # whose reports were counted when we last listened

    @property
    def due(self) -> bool:
        """True if our report has to be written even though it says nothing new."""
        return self._told_at is None or self._clock() - self._told_at >= RENEW_S

    async def tell(self, statuses: Iterable[PolicyStatus]) -> None:
        """Write our report, if it says something new or is due to be renewed."""
        pages = _pages({status.stamp: status.counts for status in statuses})
        # The first last: with it the others hear that there is something new.
        for number in range(len(pages), 1, -1):
            if pages[number - 1 : number] != self._pages[number - 1 : number]:
                await self._write(number, pages[number - 1])
        if self.due or self._pages != pages:
            now = self._clock()
            await self._write(1, pages[0])
            self._told_at = now
        for number in range(len(pages) + 1, len(self._pages) + 1):
            await self._delete(self._name(number))
        self._pages = pages

    async def _write(self, number: int, counts: str) -> None:
        name, value = LABEL
        document = {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {
                "name": self._name(number),
                "namespace": self._namespace,
                "labels": {name: value},
                "annotations": {ANNOTATION: counts},
            },
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(DURATION_S),
                "renewTime": micro_time(self._now()),
            },
        }
        path = LEASES.path(self._namespace, self._name(number))
        written = self._api.apply(path, document, manager="towpath")
        await needing(written, LEASES.grant("create", "patch"))

    def _name(self, number: int) -> str:
        prefix = PREFIX if number == 1 else f"{PAGE_PREFIX}{number}-"
        return prefix + self._identity

    async def withdraw(self) -> None:
        """Delete our report, if there is one."""
        if self._told_at is not None:
            self._told_at = None
            for number in range(1, len(self._pages) + 1):
                await self._delete(self._name(number))
            self._pages = []

    async def listen(self) -> bool:
        """Read the others' reports; true if one of them says something new."""
        query = {"labelSelector": "=".join(LABEL)}
        request = self._api.get(LEASES.path(self._namespace), query)
        leases = decoded(await needing(request, LEASES.grant("list")), _LEASES).items or ()
        now, others, news = self._clock(), {}, False
        for lease in leases:
            page = lease.page
            if page[0] == self._identity:
                continue
            other = self._others.get(page)
            if other is None or other.renewed != lease.spec.renewed:
                counts = _unpacked((lease.metadata.annotations or {}).get(ANNOTATION, ""))
                news |= other is None or other.heard != counts
                other = _Other(lease.spec.renewed, now, counts)
            elif now - other.seen_at > LEFT_BEHIND_S and not other.swept and self._is_left(page):
                other.swept = True
                await self._delete(lease.metadata.name)
            others[page] = other
        self._others = others
        counted, self._counted = self._counted, self._alive()
        return news or counted != self._counted

    def total(self, status: PolicyStatus) -> tuple[Counts, tuple[str, ...]]:
        """Ours and the others' counts, and the replicas that have not heard of its present form."""
        counts = status.counts
        unheard = set(self._alive())
        for (identity, _), other in self._others.items():
            reported = other.heard.get(status.stamp)
            if reported is not None and identity in unheard:
                unheard.discard(identity)
                counts += reported
        return counts, tuple(sorted(unheard))

    def _alive(self) -> tuple[str, ...]:
        """The replicas that count: those that have renewed the first page of theirs."""
        oldest = self._clock() - DURATION_S
        return tuple(
            sorted(
                identity
                for (identity, number), other in self._others.items()
                if number == 1 and other.seen_at >= oldest
            )
        )

    def _is_left(self, page: tuple[str, int]) -> bool:
        """True for the first page of a report, and for others without one that is renewed."""
        return page[1] == 1 or page[0] not in self._alive()

    async def _delete(self, name: str) -> None:
        """Delete a report; one that stays behind does no harm, as nobody counts it for long."""
        deleted = self._api.write("DELETE", LEASES.path(self._namespace, name), {})
        try:
            await needing(deleted, LEASES.grant("delete"))
        except KubeApiError as error:
            if not error.not_found:
                log.warning("Lease %s/%s cannot be deleted: %s", self._namespace, name, error)


async def replicas(api: KubeApi, namespace: str, *, now: datetime) -> int:
    """How many replicas report now; 0 if none does, as where no status is written."""
    request = api.get(LEASES.path(namespace), {"labelSelector": "=".join(LABEL)})
    leases = decoded(await needing(request, LEASES.grant("list")), _LEASES).items or ()
    oldest = micro_time(now - timedelta(seconds=DURATION_S))
    return sum((one.spec.renewed or "") >= oldest for one in leases if one.page[1] == 1)


def _pages(counts_by_stamp: Heard) -> list[str]:
    """Counts on as many pages as they need, at least one."""
    return list(_packed(sorted(counts_by_stamp.items(), key=lambda item: item[0])))


def _packed(counts: Sequence[tuple[Stamp, Counts]]) -> Iterator[str]:
    """Counts as texts: JSON, compressed, in letters that an annotation may have."""
    rows = [
        [stamp.uid, stamp.generation, one.affected, one.acknowledged, one.rejecting]
        for stamp, one in counts
    ]
    text = base64.b64encode(zlib.compress(msgspec.json.encode(rows))).decode()
    if len(text) <= LARGEST or len(rows) < 2:
        yield text
    else:
        middle = len(counts) // 2
        yield from _packed(counts[:middle])
        yield from _packed(counts[middle:])


def _unpacked(text: str) -> Heard:
    """What a report says; nothing if it cannot be read, so that it counts as not heard."""
    try:
        rows = _ROWS.decode(zlib.decompress(base64.b64decode(text)))
    except (ValueError, zlib.error, msgspec.DecodeError):
        return {}
    return {
        Stamp(uid, generation): Counts(affected, acknowledged, rejecting)
        for uid, generation, affected, acknowledged, rejecting in rows
    }
