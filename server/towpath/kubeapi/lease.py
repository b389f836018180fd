"""Lease: at most one holder at a time, among all replicas that ask for the same one.

https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from towpath.kubeapi.client import KubeApi, KubeApiError, decoded, needing
from towpath.kubeapi.paths import LEASES
from towpath.telemetry.once import LogOnce

log = logging.getLogger(__name__)

DURATION_S = 15.0
"""A holder that has not renewed for this long is taken for dead."""
RENEW_WITHIN_S = 10.0
"""A holder that could not renew for this long no longer counts on holding it."""
RETRY_S = 2.0
_DOCUMENT = msgspec.json.Decoder(dict[str, Any])


def micro_time(now: datetime) -> str:
    """As Kubernetes reads a time with microseconds: always with six digits, always with Z."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def replica_name(host: str, unique: str) -> str:
    """Who holds a Lease: a name that an object may have, and that no other replica has, were it
    started on the same machine.
    """
    allowed = re.sub("[^a-z0-9]+", "-", host.lower()).strip("-")
    return "-".join(filter(None, (allowed[:63].rstrip("-"), unique[:8])))


class Lease:
    """One replica's claim to the Lease *name*; *identity* is what others see as the holder.

    *clock* is monotonic, in seconds: other machines' clocks are never compared with ours.
    *now* gives the time that people read.
    """

    def __init__(
        self,
        api: KubeApi,
        *,
        namespace: str,
        name: str,
        identity: str,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        retry_s: float = RETRY_S,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._now = now
        self._retry_s = retry_s
        self._seen: tuple[object, object] = (None, None)  # another's holder and renewTime,
        self._seen_at = 0.0  # since when they are the same
        self._renewed_at: float | None = None
        self._failure = LogOnce(log)

    @property
    def held(self) -> bool:
        """True while no other replica can hold it."""
        renewed = self._renewed_at
        return renewed is not None and self._clock() - renewed < RENEW_WITHIN_S

    async def run(self) -> None:
        """Claim and renew until cancelled; what is held is given back then."""
        try:
            while True:
                await self._attempt()
                await asyncio.sleep(self._retry_s)
        finally:
            if self.held:
                with contextlib.suppress(KubeApiError, TimeoutError):
                    async with asyncio.timeout(2 * self._retry_s):
                        await self._release()

    async def _attempt(self) -> None:
        began = self._clock()
        try:
            holds = await self._claim()
        except KubeApiError as error:
            if error.conflict:
                return  # somebody else was first; the next look says who
            self._failure.tell(f"Lease {self._namespace}/{self._name}: {error}")
            return
        before, self._renewed_at = self.held, began if holds else None
        if holds:
            self._failure.over()
        if holds != before:
            doing = "holds" if holds else "has lost"
            log.info("%s %s the Lease %s/%s", self._identity, doing, self._namespace, self._name)

    async def _claim(self) -> bool:
        """Take or renew it if we may; true if it is ours now."""
        document = await self._read()
        if document is None:
            body = self._document({}, {"leaseTransitions": 0, "acquireTime": self._time()})
            written = self._api.write("POST", LEASES.path(self._namespace), body)
            await needing(written, LEASES.grant("create"))
            return True
        spec = document.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder != self._identity:
            if holder and not self._silent(spec):
                return False
            taken = int(spec.get("leaseTransitions") or 0) + 1
            spec = {"leaseTransitions": taken, "acquireTime": self._time()}
        await self._put(self._document(document["metadata"], spec))
        return True

    def _silent(self, spec: dict[str, Any]) -> bool:
        """True if its holder has not renewed it for as long as it promised to."""
        seen = (spec.get("holderIdentity"), spec.get("renewTime"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock()
        promised = spec.get("leaseDurationSeconds") or DURATION_S
        return self._clock() - self._seen_at > promised

    async def _release(self) -> None:
        document = await self._read()
        if document is None or (document.get("spec") or {}).get("holderIdentity") != self._identity:
            return
        spec = {**document["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        await self._put({**document, "spec": spec})
        self._renewed_at = None

    async def _read(self) -> dict[str, Any] | None:
        request = self._api.get(self._path, {}, timeout_s=RENEW_WITHIN_S / 2)
        try:
            return decoded(await needing(request, LEASES.grant("get")), _DOCUMENT)
        except KubeApiError as error:
            if error.not_found:
                return None
            raise

    async def _put(self, body: dict[str, Any]) -> None:
        """Replace it; if it has changed since it was read, that is refused as a conflict."""
        written = self._api.write("PUT", self._path, body, timeout_s=RENEW_WITHIN_S / 2)
        await needing(written, LEASES.grant("update"))

    def _document(self, metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {**metadata, "name": self._name, "namespace": self._namespace},
            "spec": {
                **spec,
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(DURATION_S),
                "renewTime": self._time(),
            },
        }

    @property
    def full_name(self) -> str:
        """NAMESPACE/NAME, for people."""
        return f"{self._namespace}/{self._name}"

    @property
    def _path(self) -> str:
        return LEASES.path(self._namespace, self._name)

    def _time(self) -> str:
        return micro_time(self._now())
