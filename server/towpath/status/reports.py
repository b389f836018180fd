"""Reports: what each replica that stands by counts of its own sidecars, for the one that writes.

A report is a Lease of the replica's own: whoever stops renewing it is no longer counted, and the
counts are its annotation. Nothing else is shared, and no replica has to reach another.
"""

from __future__ import annotations

import base64
import logging
import zlib
from collections.abc import Callable, Iterable, Mapping
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
"""Bytes of counts; Kubernetes takes 256 KiB of annotations."""

Heard = Mapping[Stamp, Counts]
"""Counts by what they speak of: one generation of one object."""


@dataclass(slots=True)
class _Other:
    """Another replica's report, and since when (monotonic) it has not been renewed."""

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
        self._path = LEASES.path(namespace, PREFIX + identity)
        self._told: tuple[str, float] | None = None  # what our report says, and when it was renewed
        self._others: dict[str, _Other] = {}
        self._counted: tuple[str, ...] = ()  # whose reports were counted when we last listened

    @property
    def due(self) -> bool:
        """True if our report has to be written even though it says nothing new."""
        return self._told is None or self._clock() - self._told[1] >= RENEW_S

    async def tell(self, statuses: Iterable[PolicyStatus]) -> None:
        """Write our report, if it says something new or is due to be renewed."""
        counts = _packed({status.stamp: status.counts for status in statuses})
        if len(counts) > LARGEST:
            log.warning("report too large: this replica's counts are left out")
            counts = _packed({})
        if not self.due and self._told is not None and self._told[0] == counts:
            return
        now = self._clock()
        name, value = LABEL
        document = {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {
                "name": PREFIX + self._identity,
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
        written = self._api.apply(self._path, document, manager="towpath")
        await needing(written, LEASES.grant("create", "patch"))
        self._told = counts, now

    async def withdraw(self) -> None:
        """Delete our report, if there is one."""
        if self._told is not None:
            self._told = None
            await self._delete(PREFIX + self._identity)

    async def listen(self) -> bool:
        """Read the others' reports; true if one of them says something new."""
        query = {"labelSelector": "=".join(LABEL)}
        request = self._api.get(LEASES.path(self._namespace), query)
        leases = decoded(await needing(request, LEASES.grant("list")), _LEASES).items or ()
        now, others, news = self._clock(), {}, False
        for lease in leases:
            name = lease.metadata.name.removeprefix(PREFIX)
            if name == self._identity:
                continue
            other = self._others.get(name)
            if other is None or other.renewed != lease.spec.renewed:
                counts = _unpacked((lease.metadata.annotations or {}).get(ANNOTATION, ""))
                news |= other is None or other.heard != counts
                other = _Other(lease.spec.renewed, now, counts)
            elif now - other.seen_at > LEFT_BEHIND_S and not other.swept:
                other.swept = True
                await self._delete(lease.metadata.name)
            others[name] = other
        self._others = others
        counted, self._counted = self._counted, tuple(name for name, _ in self._alive())
        return news or counted != self._counted

    def total(self, status: PolicyStatus) -> tuple[Counts, tuple[str, ...]]:
        """Ours and the others' counts, and the replicas that have not heard of its present form."""
        counts, unheard = status.counts, []
        for identity, other in self._alive():
            reported = other.heard.get(status.stamp)
            if reported is None:
                unheard.append(identity)
            else:
                counts += reported
        return counts, tuple(unheard)

    def _alive(self) -> list[tuple[str, _Other]]:
        oldest = self._clock() - DURATION_S
        return [
            (name, other) for name, other in sorted(self._others.items()) if other.seen_at >= oldest
        ]

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
    return sum((lease.spec.renewed or "") >= oldest for lease in leases)


def _packed(counts_by_stamp: Heard) -> str:
    """Counts as text: JSON, compressed, in letters that an annotation may have."""
    rows = [
        [stamp.uid, stamp.generation, counts.affected, counts.acknowledged, counts.rejecting]
        for stamp, counts in sorted(counts_by_stamp.items(), key=lambda item: item[0])
    ]
    return base64.b64encode(zlib.compress(msgspec.json.encode(rows))).decode()


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
