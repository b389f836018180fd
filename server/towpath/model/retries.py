"""Retries as their authors write them: which requests a client's sidecar sends again."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from towpath.model.names import Account, Kind, Referable, Stamp


@dataclass(frozen=True, slots=True, order=True)
class RetryPolicy:
    """When a request is sent again: *conditions* are Envoy's words, *statuses* answers of HTTP, any
    of them; one at least.

    `retries` is how often at the most, above 0; times are in seconds, None for no limit on an
    attempt, and for Envoy's own pause.
    """

    conditions: tuple[str, ...]
    statuses: tuple[int, ...]
    retries: int = 1
    per_try_timeout: float | None = None
    base_interval: float | None = None


@dataclass(frozen=True, slots=True)
class Retry(Referable):
    """What sidecars of one service account of its namespace do about requests for some Services.

    `destinations` are namespaces and names. `policy` is None where it cannot be read: nothing is
    sent again. `created` is the creation timestamp as Kubernetes writes it, "" where there is none.
    """

    namespace: str
    name: str
    created: str
    source: Account | None
    destinations: tuple[tuple[str, str], ...]
    policy: RetryPolicy | None
    stamp: Stamp = Stamp()

    kind = Kind.RETRY

    def groups(self) -> tuple[Hashable, ...]:
        source = self.source
        return (("source", source.namespace, source.name),) if source else ()
