"""What stands for certificates where nobody is sent any: their place is shown, and no key made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from towpath.model.identity import SLOTS, Identity, Leaf, Roots, Window
from towpath.model.names import Account

_ALWAYS = Window(datetime(1970, 1, 1, tzinfo=UTC), timedelta(days=36_500))


@dataclass(frozen=True, slots=True)
class _Placeholders:
    """The `Signer` of what only looks like leaves."""

    def leaf(self, account: Account, window: Window) -> Leaf:
        return Leaf(
            account=account,
            certificate_chain=f"(the certificate of {account})".encode(),
            private_key=b"(its key)",
            not_before=window.begin,
            not_after=window.begin + 2 * window.length,
            renew_at=window.begin + window.length,
        )


def placeholders(trust_domain: str) -> Identity:
    """An authority that gives every account what says that here would be its certificate."""
    return Identity(
        signer=_Placeholders(),
        roots=Roots(b"(the roots of the mesh)", trust_domain),
        windows=dict.fromkeys(range(SLOTS), _ALWAYS),
    )
