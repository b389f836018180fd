"""Identity: the certificates that sidecars show to each other, and whom they trust.

The keys are here in the clear, so nothing of this is ever printed: a `repr` leaves them out.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Protocol

from towpath.model.names import Account

SLOTS = 256
"""Accounts are spread over so many slots; all leaves of a slot are renewed at one time."""


class MtlsMode(enum.Enum):
    """What marked pods let in: both, only mutual TLS, or (for their clients) never TLS."""

    PERMISSIVE = "permissive"
    STRICT = "strict"
    DISABLED = "disabled"


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
    """Whom sidecars trust: PEM, in an order that depends on the certificates alone."""

    certificates: bytes


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
