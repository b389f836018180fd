"""What one client has rejected: bytes that are never sent to it again.

The paragraph on NACKs: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#ack-nack-and-resource-type-instance-version
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from towpath.model.snapshot import Resource

Fingerprint = tuple[str, str, str]
"""(type URL, resource name, version); the name is "" for a response as a whole."""


class Rejections:
    """One client's rejected content, the newest *limit* of it; it outlives the client's streams."""

    def __init__(self, *, limit: int = 1000) -> None:
        self._limit = limit
        self._rejected: OrderedDict[Fingerprint, None] = OrderedDict()

    def add(self, fingerprints: Iterable[Fingerprint]) -> None:
        for fingerprint in fingerprints:
            self._rejected[fingerprint] = None
            self._rejected.move_to_end(fingerprint)
        while len(self._rejected) > self._limit:
            self._rejected.popitem(last=False)

    def response(self, type_url: str, version: str) -> bool:
        """True if a full-state response of that version was rejected."""
        return (type_url, "", version) in self._rejected

    def resource(self, resource: Resource) -> bool:
        """True if this content of this resource was rejected."""
        return (resource.type_url, resource.name, resource.version) in self._rejected

    def any_of(self, type_url: str) -> bool:
        """True if anything of that type was rejected."""
        return any(rejected_type == type_url for rejected_type, _, _ in self._rejected)

    def __len__(self) -> int:
        return len(self._rejected)


def named_in(message: str, names: Iterable[str]) -> tuple[str, ...]:
    """Which of the sent resources a client's error text speaks of; all of them if of none.

    Envoy names listeners and clusters in the text; the text may also hold the whole resource, so
    a name that merely occurs inside another name does not count.
    """
    sent = tuple(names)
    found = {name for name in sent if name and name in message}
    outer = {name for name in found if not any(name != o and name in o for o in found)}
    return tuple(name for name in sent if name in outer) or sent
