"""A throw-away certificate authority, and the files of what it issues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from towpath.ca import Authority, Pair
from towpath_client import TlsFiles

LIFETIME = timedelta(days=1)
TRUST_DOMAIN = "cluster.local"


class Certificates:
    """One authority whose certificates are written to *folder*; `ca` is what to trust."""

    def __init__(self, folder: Path, *, name: str = "tests") -> None:
        self.folder = folder
        self.ca = folder / f"{name}-ca.crt"
        self._authority = Authority.create(name, lifetime=LIFETIME, clock=_now)
        self.ca.write_bytes(self._authority.pair.certificate)

    def issue(
        self,
        name: str,
        *,
        dns: tuple[str, ...] = (),
        addresses: tuple[str, ...] = (),
        uris: tuple[str, ...] = (),
        lifetime: timedelta = LIFETIME,
    ) -> TlsFiles:
        """Write `<name>.crt` and `<name>.key`, over those that are there."""
        pair = self._authority.issue(
            name, lifetime=lifetime, dns=dns, addresses=addresses, uris=uris
        )
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        write(pair, certificate, key)
        return TlsFiles(ca=self.ca, certificate=certificate, key=key)

    def server(self, name: str = "server", *, addresses: tuple[str, ...] = ()) -> TlsFiles:
        """A server's, for `localhost` and the addresses given beside 127.0.0.1."""
        return self.issue(name, dns=("localhost",), addresses=("127.0.0.1", *addresses))

    def sidecar(self, namespace: str, account: str) -> TlsFiles:
        """One of a service account's sidecars."""
        return self.issue(f"{namespace}.{account}", uris=(spiffe_id(namespace, account),))


def spiffe_id(namespace: str, account: str, *, trust_domain: str = TRUST_DOMAIN) -> str:
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{account}"


def write(pair: Pair, certificate: Path, key: Path) -> None:
    """Replace both files, the key first."""
    for path, data in ((key, pair.key), (certificate, pair.certificate)):
        fresh = path.with_name(f"{path.name}.new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(data)
        fresh.replace(path)


def _now() -> datetime:
    return datetime.now(UTC)
