"""Issuance: what leaves are made from, kept up to date in the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from towpath.ca.authority import Authority, fingerprint
from towpath.ca.leaves import LeafSigner, new_secret
from towpath.ca.secret import ENTRIES, read_authority
from towpath.ca.windows import next_renewal, windows
from towpath.model.codes import Code
from towpath.model.identity import Identity, Roots
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.store import Store
from towpath.telemetry.metrics import Metrics
from towpath.telemetry.once import LogOnce

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
FIRST_LOOKS_S = 0.05
"""Until there is an identity nothing is published: that waits no longer than it must."""

LARGEST_ENTRY = 1 << 20
"""In bytes, as for a Secret."""

WARN_BEFORE = timedelta(days=7)
"""How long before the end there is a Problem: as for the alert TowpathAuthorityExpires. For one
that lives so short that it is renewed later than that, in the last quarter of its life.
"""

ORIGIN = "authority"
_WAY_OUT = "exchange it, as docs/operate.md says"


class Issuance:
    """Follows the *folder* of an authority, in which each entry of its Secret is a file, and the
    validity that the MeshConfig of *osm_namespace* asks for; renews leaves when their time comes.

    An authority that cannot be used is a Problem of *ref*: the last good one stays in use, and
    before there is one the store has no identity. One that expires soon, or has expired while it is
    in use, is a Problem too. *clock* gives the time with a time zone.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        ref: ObjectRef,
        osm_namespace: str,
        trust_domain: str,
        random_keys: bool,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._folder = folder
        self._store = store
        self._ref = ref
        self._osm_namespace = osm_namespace
        self._trust_domain = trust_domain
        self._secret = new_secret() if random_keys else None
        self._metrics = metrics
        self._clock = clock
        self._entries: Mapping[str, bytes] | None = None  # those of the authority in use
        self._authority: Authority | None = None
        self._identity: Identity | None = None
        self._validity = timedelta(0)
        self._failure = LogOnce(log, logging.ERROR)
        self._end_soon = LogOnce(log)
        self._end = LogOnce(log, logging.ERROR)
        self._leaf_expires_at: datetime | None = None

    @property
    def authority_expires_at(self) -> datetime | None:
        """When the authority in use expires; None before there is one."""
        return self._authority.expires_at if self._authority else None

    @property
    def trusted_roots(self) -> Sequence[str]:
        """The fingerprints of the roots that sidecars are sent; none before there are any."""
        return sorted(map(fingerprint, self._authority.roots)) if self._authority else ()

    @property
    def signing_certificate(self) -> str:
        """The fingerprint of what signs for sidecars; "" before there is an authority."""
        return fingerprint(self._authority.certificate) if self._authority else ""

    @property
    def leaf_expires_at(self) -> datetime | None:
        """When the first of the certificates in use expires; None before there are any."""
        return self._leaf_expires_at

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(FIRST_LOOKS_S if self._identity is None else LOOK_EVERY_S)

    def look(self) -> None:
        """Take what the folder and the store hold now, at this time."""
        self._store.report(ORIGIN, [*self._read(), *self._expiry(self._clock())])
        # Before the MeshConfig is known, leaves could have the wrong validity.
        if self._authority is not None and self._store.has_listed(Kind.MESH_CONFIG):
            self._renew(self._authority, self._clock())

    def _read(self) -> Iterator[Problem]:
        """Take what the folder holds into use; gives why that cannot be."""
        try:
            entries = dict(_entries(self._folder))
            if entries == self._entries:
                self._failure.over()
                return
            # What was refused before is looked at again: it may only not have been valid yet.
            authority = read_authority(entries, clock=self._clock)
        except (ValueError, OSError) as error:
            yield self._bad(str(error))
            return
        self._entries, self._authority = entries, authority
        self._identity = None
        self._failure.over()
        self._metrics.authority_reloads.labels("ok").inc()
        self._metrics.authority_expiry.set(authority.expires_at.timestamp())
        log.info(
            "the authority of %s signs, until %s; roots that are trusted: %d",
            self._folder,
            authority.expires_at.isoformat(),
            len(authority.roots),
        )

    def _bad(self, fault: str) -> Problem:
        kept = "the last good one stays in use" if self._authority else "nothing is published"
        text = f"the authority in {self._folder} cannot be used, {kept}: {fault}"
        if self._failure.tell(text):
            self._metrics.authority_reloads.labels("failed").inc()
        return Problem(self._ref, "", Code.UNUSABLE_AUTHORITY, text)

    def _expiry(self, now: datetime) -> Iterator[Problem]:
        """What is wrong with the time of the authority in use; it signs all the same."""
        if self._authority is None:
            return
        first, end = self._authority.first_to_expire, self._authority.expires_at
        who = first.subject.rfc4514_string() or "without a subject"
        what = f"the authority in {self._folder} has a certificate ({who}) that"
        if now >= end:
            text = f"{what} expired at {end.isoformat()}: nobody takes what it signs; {_WAY_OUT}"
            self._end.tell(text)
            yield Problem(self._ref, "", Code.UNUSABLE_AUTHORITY, text)
        elif end - now < min(WARN_BEFORE, (end - first.not_valid_before_utc) / 4):
            text = f"{what} expires at {end.isoformat()}, and with it all that it signs; {_WAY_OUT}"
            self._end_soon.tell(text)
            yield Problem(self._ref, "", Code.EXPIRING_AUTHORITY, text)

    def _renew(self, authority: Authority, now: datetime) -> None:
        validity = self._wanted_validity()
        before = self._identity
        if before is not None and validity == self._validity and now < next_renewal(before.windows):
            return
        present = windows(now, validity)
        if before is None:
            signer = self._signer(authority)
            identity = Identity(signer, Roots(authority.trusted, self._trust_domain), present)
        else:
            identity = Identity(before.signer, before.roots, present)
        self._identity, self._validity = identity, validity
        self._store.identify(identity)
        first = min(window.begin + 2 * window.length for window in present.values())
        self._leaf_expires_at = expiry = min(first, authority.expires_at)
        self._metrics.leaf_expiry.set(expiry.timestamp())
        self._metrics.leaf_validity.set(validity.total_seconds())

    def _signer(self, authority: Authority) -> LeafSigner:
        if self._secret is None:
            return LeafSigner.derived(authority, self._trust_domain)
        return LeafSigner.random(authority, self._trust_domain, self._secret)

    def _wanted_validity(self) -> timedelta:
        configs = cast("tuple[MeshConfig, ...]", self._store.held(Kind.MESH_CONFIG))
        ours = [one for one in configs if one.namespace == self._osm_namespace]
        return timedelta(seconds=(ours[0] if ours else MeshConfig()).certificate_validity)


def _entries(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The entries of one moment: a Secret's volume is exchanged whole, behind a link."""
    linked = folder / "..data"
    at = linked.resolve() if linked.exists() else folder
    for name in ENTRIES:
        path = at / name
        if path.exists():
            with path.open("rb") as file:
                data = file.read(LARGEST_ENTRY + 1)
            if len(data) > LARGEST_ENTRY:
                raise ValueError(f"{name} is larger than {LARGEST_ENTRY} bytes")
            yield name, data
