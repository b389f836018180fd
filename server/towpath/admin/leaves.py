"""Until when the certificates are valid that sidecars show each other."""

from __future__ import annotations

from datetime import datetime

from towpath.encode.envoy.names import certificate_of
from towpath.encode.envoy.secrets import valid_until
from towpath.model.types import SECRET
from towpath.rollout.records import StreamRecord

REMEMBERED = 10_000


class LeafEnds:
    """When the certificate of each stream's sidecar ends; each certificate is read once."""

    def __init__(self) -> None:
        self._by_version: dict[str, datetime | None] = {}

    def of(self, record: StreamRecord) -> datetime | None:
        """Of the certificate that it has accepted last; None if none is known."""
        if record.account is None:
            return None
        secret = record.accepted(SECRET, certificate_of(record.account))
        if secret is None or not secret.packed:
            return None
        if secret.version not in self._by_version:
            if len(self._by_version) >= REMEMBERED:
                self._by_version.clear()
            self._by_version[secret.version] = valid_until(secret)
        return self._by_version[secret.version]
