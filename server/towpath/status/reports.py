"""Reports: what each replica that stands by counts of its own sidecars, for the one that writes.

A report is a Lease of the replica's own: whoever stops renewing it is no longer counted, and the
counts are its annotation. Nothing else is shared, and no replica has to reach another.
"""

from __future__ import annotations

import base64
import json
import logging
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from towpath.hub.status import Counts, PolicyStatus
from towpath.kubeapi.client import KubeApi, KubeApiError
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
_NOT_FOUND = 404

Heard = Mapping[Stamp, Counts]
"""Counts by what they speak of: one generation of one object."""


@dataclass(slots=True)
class _Other:
    """Another replica's report, and since when (monotonic) it has not been renewed."""

    renewed: object
    seen_at: float
    heard: Heard


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

    async def tell(self, statuses: Iterable[PolicyStatus]) -> None:
        """Write our report, if it says something new or is due to be renewed."""
        counts = _packed({status.stamp: status.counts for status in statuses})
        if len(counts) > LARGEST:
            log.warning("too many policies for one report: the writer sees them as not heard of")
            counts = _packed({})
        now = self._clock()
        if self._told is not None:
            said, at = self._told
            if said == counts and now - at < RENEW_S:
                return
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
        await self._api.apply(self._path, document, manager="towpath")
        self._told = counts, now

    async def withdraw(self) -> None:
        """Delete our report, if there is one."""
        if self._told is not None:
            self._told = None
            await self._delete(self._path)

    async def listen(self) -> bool:
        """Read the others' reports; true if one of them says something new."""
        query = {"labelSelector": "=".join(LABEL)}
        answer = json.loads(await self._api.get(LEASES.path(self._namespace), query))
        now, found, news = self._clock(), {}, False
        for lease in answer.get("items") or ():
            identity = str((lease.get("spec") or {}).get("holderIdentity"))
            other = self._others.get(identity)
            renewed = (lease.get("spec") or {}).get("renewTime")
            if identity == self._identity:
                continue
            if other is None or other.renewed != renewed:
                heard = _unpacked(lease)
                news |= other is None or other.heard != heard
                other = _Other(renewed, now, heard)
            found[identity] = other
            if now - other.seen_at > LEFT_BEHIND_S:
                await self._delete(LEASES.path(self._namespace, lease["metadata"]["name"]))
        news |= found.keys() != self._others.keys()
        alive = len(self._alive())
        self._others = found
        return news or alive != len(self._alive())

    def total(self, status: PolicyStatus) -> tuple[Counts, tuple[str, ...]]:
        """Ours and the others' counts, and the replicas that have not heard of its present form."""
        counts, unheard = status.counts, []
        for identity, other in self._alive():
            heard = other.heard.get(status.stamp)
            if heard is None:
                unheard.append(identity)
            else:
                counts += heard
        return counts, tuple(unheard)

    def _alive(self) -> list[tuple[str, _Other]]:
        oldest = self._clock() - DURATION_S
        return [
            (name, other) for name, other in sorted(self._others.items()) if other.seen_at >= oldest
        ]

    async def _delete(self, path: str) -> None:
        try:
            await self._api.write("DELETE", path, {})
        except KubeApiError as error:
            if error.status != _NOT_FOUND:
                raise


def _packed(heard: Heard) -> str:
    """Counts as text: JSON, compressed, in letters that an annotation may have."""
    rows = [
        [stamp.uid, stamp.generation, counts.affected, counts.acknowledged, counts.rejecting]
        for stamp, counts in sorted(heard.items(), key=lambda item: item[0])
    ]
    return base64.b64encode(zlib.compress(json.dumps(rows).encode())).decode()


def _unpacked(lease: Mapping[str, Any]) -> Heard:
    """What a report says; nothing if it cannot be read, so that it counts as not heard."""
    text = ((lease.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION, "")
    try:
        rows = json.loads(zlib.decompress(base64.b64decode(text)))
        return {
            Stamp(str(uid), int(generation)): Counts(int(affected), int(held), int(rejecting))
            for uid, generation, affected, held, rejecting in rows
        }
    except (ValueError, TypeError, zlib.error):
        return {}
