"""Identity: the certificates that sidecars show to each other, and whom they trust.

The keys are here in the clear, so nothing of this is ever printed: a `repr` leaves them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Protocol

from towpath.model.names import Account

SLOTS = 256
"""Accounts are spread over so many slots; all leaves of a slot are renewed at one time."""


class MtlsMode(StrEnum):
    """What holds for the marked pods of a namespace, and for who calls them."""

    PERMISSIVE = "permissive"
    """They are called by mutual TLS, and let in plaintext too."""
    STRICT = "strict"
    """They let in nothing but mutual TLS."""
    DISABLED = "disabled"
    """They let in both, and nobody calls them by mutual TLS."""


MODES = tuple(MtlsMode)
"""Every mode, as it is written."""


@dataclass(frozen=True, slots=True)
class TlsParameters:
    """What both ends of mutual TLS offer: the oldest and the newest version, as Envoy names them;
    ciphers of TLS 1.2 and curves, as BoringSSL does, the best first (none: its own).
    """

    minimum: str = "TLSv1_2"
    maximum: str = "TLSv1_3"
    ciphers: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()


TLS_DEFAULTS = TlsParameters()


@dataclass(frozen=True, slots=True)
class Leaf:
    """One account's certificate, ready to be sent.

    `certificate_chain` is PEM, the leaf first, then the intermediates; `private_key` is PEM
    (PKCS #8, not encrypted); `renew_at` is when the next one takes its place.
    """

    account: Account
    certificate_chain: bytes
    private_key: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    renew_at: datetime


@dataclass(frozen=True, slots=True)
class Roots:
    """Whom sidecars trust: PEM, in an order that depends on the certificates alone; and the trust
    domain of the names that they take.
    """

    certificates: bytes
    trust_domain: str

    def name(self, account: Account) -> str:
        """The one name in an account's certificate."""
        return f"{self.prefix}{account.namespace}/sa/{account.name}"

    @property
    def prefix(self) -> str:
        """What the name of every account begins with, and no other name."""
        return f"spiffe://{self.trust_domain}/ns/"


@dataclass(frozen=True, slots=True)
class Window:
    """The time during which one leaf of a slot is sent; it is valid for twice as long."""

    begin: datetime
    length: timedelta


class Signer(Protocol):
    """Makes leaves: a value, of which equal ones make equal leaves."""

    def leaf(self, account: Account, window: Window, /) -> Leaf: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """What leaves are made from at one moment; without a signer there are none.

    `windows` has the present window of each slot.
    """

    signer: Signer | None = None
    roots: Roots | None = None
    windows: Mapping[int, Window] = field(default_factory=dict)


NO_IDENTITY = Identity()


def slot_of(account: Account) -> int:
    """In which slot the leaves of *account* are renewed: the same everywhere and always."""
    return blake2b(str(account).encode(), digest_size=1).digest()[0]


def server_name(namespace: str, service: str) -> str:
    """What a client that calls a service by mutual TLS asks for."""
    return f"{service}.{namespace}.svc.cluster.local"
