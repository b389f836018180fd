"""What a caller shows to prove who it is, what can be wrong with that, and whom it proves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from towpath.model.names import Account, SidecarId
from towpath.model.workloads import Pod


class Credential(StrEnum):
    """The kinds of proof that are taken, each over TLS."""

    CERTIFICATE = "certificate"
    TOKEN = "token"  # noqa: S105 - the word


class TokenFault(StrEnum):
    """Why a token is refused: the word for it in metrics and logs, and in the status' text."""

    ABSENT = "absent"
    TOO_LONG = "too-long"
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    NO_KEYS = "no-keys"
    UNKNOWN_KEY = "unknown-key"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    UNBOUND = "unbound"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Who signs the tokens of a cluster's pods: its name in them, and its public keys (the JSON of
    a JWK set, https://www.rfc-editor.org/rfc/rfc7517#section-5).
    """

    name: str
    keys: str


@dataclass(frozen=True, slots=True)
class PodToken:
    """Whom a token proves, until when it is taken."""

    account: Account
    sidecar: SidecarId
    uid: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Whose stream it is, as its credential proves.

    With `uid` it is for the pod of that uid alone, else for any pod of the account.
    """

    account: Account
    credential: Credential
    expires_at: datetime | None = None
    uid: str = ""

    def means(self, pod: Pod) -> bool:
        """True if it speaks of that pod, and of no other that had, or will have, its name."""
        return self.uid in ("", pod.uid)
