"""A control plane that has an authority: a file beside it, in place of a cluster's Secret.

Run as a command with the options of `towpath serve`, and the folder in which `prepare` has put the
authority. What is written to the folder later is taken up within a moment.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click

from towpath.app import serve
from towpath.ca import Authority, rotation
from towpath.ca.leaves import LeafSigner
from towpath.ca.rotation import Entries
from towpath.ca.secret import KEY, ROOTS, read_authority
from towpath.ca.windows import windows
from towpath.cli.settings import setting_options
from towpath.model.identity import Identity, Leaf, Roots, Window
from towpath.model.names import Account
from towpath.settings import Settings
from towpath.store import Store
from towpath.telemetry.logs import configure

TRUST_DOMAIN = "cluster.local"
DAY = timedelta(days=1)
NAME = "mesh"
_ENTRIES, _VALIDITY, _SPOILED = "entries", "validity", "spoiled"
_EVERY_S = 0.05


def prepare(folder: Path, *, validity: timedelta = DAY) -> Sequence[str]:
    """Put a new authority into *folder*; returns the command that serves with it."""
    pair = Authority.create(NAME, lifetime=DAY, clock=_now).pair
    _replace(folder / _ENTRIES, _written({ROOTS: pair.certificate, KEY: pair.key}))
    set_validity(folder, validity)
    return sys.executable, "-P", __file__, "--authority-of-test", str(folder)


def set_validity(folder: Path, validity: timedelta) -> None:
    """Have every leaf replaced by one of another validity."""
    _replace(folder / _VALIDITY, str(validity.total_seconds()))


def rotate(folder: Path, step: str) -> Authority:
    """Take a step of a rotation: `trust`, `sign` or `drop`; the authority after it."""
    entries = _entries(folder)
    match step:
        case "trust":
            entries = rotation.trust(entries, NAME, lifetime=DAY, clock=_now)
        case "sign":
            entries = rotation.sign(entries, clock=_now)
        case "drop":
            entries = rotation.drop(entries, NAME, clock=_now)
        case _:
            raise ValueError(step)
    _replace(folder / _ENTRIES, _written(entries))
    return authority(folder)


def spoil(folder: Path, *, spoiled: bool) -> None:
    """Have every leaf sent with the key of another, or no longer."""
    if spoiled:
        (folder / _SPOILED).touch()
    else:
        (folder / _SPOILED).unlink()


def authority(folder: Path) -> Authority:
    """The one in that folder."""
    return read_authority(_entries(folder), clock=_now)


def _entries(folder: Path) -> Entries:
    texts: dict[str, str] = json.loads((folder / _ENTRIES).read_text())
    return {name: text.encode() for name, text in texts.items()}


def _written(entries: Entries) -> str:
    return json.dumps({name: data.decode() for name, data in entries.items()})


def _replace(path: Path, text: str) -> None:
    """As a whole, for who reads it at any moment."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


@dataclass(frozen=True, slots=True)
class _Spoiling:
    """Makes leaves that no sidecar takes."""

    signer: LeafSigner

    def leaf(self, account: Account, window: Window) -> Leaf:
        others = self.signer.leaf(replace(account, name="nobody"), window)
        return replace(self.signer.leaf(account, window), private_key=others.private_key)


def _identity(folder: Path) -> Identity:
    signer = LeafSigner.derived(authority(folder), TRUST_DOMAIN)
    roots = Roots(signer.authority.trusted, TRUST_DOMAIN)
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
            entries = _entries(self.folder)
            present = spoiled, entries, windows(_now(), _validity(self.folder))
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
