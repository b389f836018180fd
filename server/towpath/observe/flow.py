"""Flow: whose traffic goes where, and what becomes of it; reports of one flow are added up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from towpath.model.names import Account, Protocol
from towpath.planning.egress.decide import Attempt

LONGEST_TEXT = 260
"""In characters: what a client says of itself is cut there. A host name has at most 253."""


class Verdict(StrEnum):
    """What a sidecar decided."""

    ALLOW = "allow"
    DENY = "deny"
    WOULD_DENY = "would deny"
    """Inside the mesh alone, in permissive mode: let in, but TrafficTargets would refuse it."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Connections or requests of one service account to one place outside the mesh; or inside it,
    that were refused or would be, and then `host` is the service account of the called pod.

    `account` is None where it is not known whose sidecar reports; then `pod_address` says which
    pod's it is, and is "" otherwise. `host` is the name that the client gave, in lower case, and
    where it gave none, `address` is what it dialled (each "" where the other is known). `policies`
    are those that the sidecar names; `passthrough` is true where none of them let it out.
    `method` is that of HTTP, `path` is "" unless paths are asked for.
    """

    account: Account | None
    pod_address: str
    host: str
    address: str
    port: int
    protocol: Protocol
    verdict: Verdict
    policies: tuple[str, ...] = ()
    passthrough: bool = False
    method: str = ""
    path: str = ""

    @property
    def source(self) -> str:
        """Whose it is, as people read it."""
        return self.pod_address or "-" if self.account is None else str(self.account)

    @property
    def target(self) -> str:
        """Where it goes, as people read it."""
        return self.host or self.address

    def attempt(self, address: str | None) -> Attempt:
        """What is to be judged if the client dials *address* (None: not known)."""
        return Attempt(
            address=self.address or address,
            port=self.port,
            protocol=self.protocol,
            host=self.host,
            method=self.method or "GET",
            path=self.path or ("" if self.method == "CONNECT" else "/"),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """One connection or request of a flow: when it began, in seconds of the epoch, and at which
    IPv4 address.
    """

    at: float
    flow: Flow
    address: str
