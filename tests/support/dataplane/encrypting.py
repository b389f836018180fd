"""A control plane that has an authority: two files beside it, in place of a cluster's Secret.

Run as a command with the options of `towpath serve`, and the folder in which `prepare` has put the
authority. What is written to the folder later is taken up within a moment.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click

from towpath.app import serve
from towpath.ca import Authority, Pair
from towpath.ca.leaves import LeafSigner
from towpath.ca.windows import windows
from towpath.cli.settings import setting_options
from towpath.model.identity import Identity, Leaf, Roots, Window
from towpath.model.names import Account
from towpath.settings import Settings
from towpath.store import Store
from towpath.telemetry.logs import configure

TRUST_DOMAIN = "cluster.local"
DAY = timedelta(days=1)
_CERTIFICATE, _KEY, _VALIDITY, _SPOILED = "ca.crt", "ca.key", "validity", "spoiled"
_EVERY_S = 0.05


def prepare(folder: Path, *, validity: timedelta = DAY) -> Sequence[str]:
    """Put a new authority into *folder*; returns the command that serves with it."""
    pair = Authority.create("mesh", lifetime=DAY, clock=_now).pair
    (folder / _CERTIFICATE).write_bytes(pair.certificate)
    (folder / _KEY).write_bytes(pair.key)
    set_validity(folder, validity)
    return sys.executable, "-P", __file__, "--authority-of-test", str(folder)


def set_validity(folder: Path, validity: timedelta) -> None:
    """Have every leaf replaced by one of another validity."""
    fresh = folder / f"{_VALIDITY}.new"
    fresh.write_text(str(validity.total_seconds()))
    fresh.replace(folder / _VALIDITY)


def spoil(folder: Path, *, spoiled: bool) -> None:
    """Have every leaf sent with the key of another, or no longer."""
    if spoiled:
        (folder / _SPOILED).touch()
    else:
        (folder / _SPOILED).unlink()


def authority(folder: Path) -> Authority:
    """The one in that folder."""
    pair = Pair((folder / _CERTIFICATE).read_bytes(), (folder / _KEY).read_bytes())
    return Authority.load(pair, clock=_now)


@dataclass(frozen=True, slots=True)
class _Spoiling:
    """Makes leaves that no sidecar takes."""

    signer: LeafSigner

    def leaf(self, account: Account, window: Window) -> Leaf:
        others = self.signer.leaf(replace(account, name="nobody"), window)
        return replace(self.signer.leaf(account, window), private_key=others.private_key)


def _identity(folder: Path) -> Identity:
    signer = LeafSigner.derived(authority(folder), TRUST_DOMAIN)
    roots = Roots(signer.authority.pair.certificate, TRUST_DOMAIN)
    signs = _Spoiling(signer) if (folder / _SPOILED).exists() else signer
    return Identity(signs, roots, windows(_now(), _validity(folder)))


def _validity(folder: Path) -> timedelta:
    return timedelta(seconds=float((folder / _VALIDITY).read_text()))


def _now() -> datetime:
    return datetime.now(UTC)


class StoreWithAuthority(Store):
    """A store that is told of leaves by itself."""

    folder: Path

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._following = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        before: object = None
        while True:
            spoiled = (self.folder / _SPOILED).exists()
            present = spoiled, windows(_now(), _validity(self.folder))
            if present != before:
                self.identify(_identity(self.folder))
            before = present
            await asyncio.sleep(_EVERY_S)


@click.command()
@click.option("--authority-of-test", "folder", type=Path)
@setting_options()
def main(folder: Path, **options: Any) -> None:
    """Serve until told to stop."""
    settings = Settings.of(**options)
    configure(level=settings.process.log_level, form=settings.process.log_format)
    StoreWithAuthority.folder = folder
    with patch("towpath.app.serve.Store", StoreWithAuthority):
        asyncio.run(serve(settings, announce=lambda: None))


if __name__ == "__main__":
    main()
