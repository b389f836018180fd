"""Identities for tests of what carries them: leaves whose bytes say what they were made for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from towpath.model.identity import SLOTS, Identity, Leaf, Roots, Window
from towpath.model.names import Account

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LENGTH = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class StubSigner:
    """Signs nothing; *name* tells its leaves from another's."""

    name: str = "stub"

    def leaf(self, account: Account, window: Window) -> Leaf:
        text = f"{self.name} {account} {window.begin.isoformat()}"
        return Leaf(
            account=account,
            certificate_chain=f"certificate {text}".encode(),
            private_key=f"key {text}".encode(),
            not_before=window.begin,
            not_after=window.begin + 2 * window.length,
            renew_at=window.begin + window.length,
        )


def identity(name: str = "stub", *, roots: str = "root", later: tuple[int, ...] = ()) -> Identity:
    """Every slot is in the window of `BEGIN`, those of *later* in the one after it."""
    return Identity(
        signer=StubSigner(name),
        roots=Roots(roots.encode(), "cluster.local"),
        windows={slot: Window(BEGIN + (slot in later) * LENGTH, LENGTH) for slot in range(SLOTS)},
    )
