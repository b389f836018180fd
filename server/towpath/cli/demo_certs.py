"""`towpath demo-certs`: certificates for tests and demos, by an authority of their own."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli.files import write_file
from towpath.clock import utc_now
from towpath.model.addresses import is_address
from towpath.model.names import Account
from towpath.settings import AccessSettings

if TYPE_CHECKING:
    from towpath.ca import Authority, Pair

LIFETIME = timedelta(days=30)
NAME = "Towpath demo authority (not for production)"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--trust-domain",
    default=AccessSettings().tls_trust_domain,
    show_default=True,
    help="Trust domain of the SPIFFE ids (the server's --tls-trust-domain).",
)
@click.option(
    "--server-name",
    "server_names",
    multiple=True,
    default=("localhost", "127.0.0.1"),
    show_default=True,
    help="DNS name or address under which sidecars reach the server.",
)
@click.option(
    "--sidecar",
    "sidecars",
    multiple=True,
    metavar="NAMESPACE/SERVICEACCOUNT",
    help="Make a certificate for the sidecars of this service account.",
)
@click.option(
    "--person",
    "people",
    multiple=True,
    metavar="NAME",
    help="Make a certificate for a person whom the server's --inspector-identities lists.",
)
def demo_certs(
    *,
    folder: Path,
    trust_domain: str,
    server_names: tuple[str, ...],
    sidecars: tuple[str, ...],
    people: tuple[str, ...],
) -> None:
    """Make certificates for tests and demos in DIR. Not for production.

    The authority's private key is in the same folder, in ca.key. All certificates are valid for 30
    days. If DIR already has an authority, it issues the new ones: that adds or renews identities.

    --server-name, --sidecar and --person can be given several times.
    """
    try:
        accounts = [Account.parse(text) for text in sidecars]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--sidecar") from error
    for person in people:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", person):
            text = f"{person!r}: allowed are letters, digits, '.', '_' and '-'"
            raise click.BadParameter(text, param_hint="--person")
    folder.mkdir(parents=True, exist_ok=True)
    authority = _authority(folder)
    addresses = [name for name in server_names if is_address(name)]
    names = [name for name in server_names if name not in addresses]
    server = authority.issue("towpath", lifetime=LIFETIME, dns=names, addresses=addresses)
    _write(folder / "server", server, ", ".join(server_names))
    for account in accounts:
        name = f"sidecar.{account.namespace}.{account.name}"
        uri = f"spiffe://{trust_domain}/ns/{account.namespace}/sa/{account.name}"
        _write(folder / name, authority.issue(name, lifetime=LIFETIME, uris=[uri]), uri)
    for person in people:
        name, uri = f"person.{person}", f"spiffe://{trust_domain}/person/{person}"
        _write(folder / name, authority.issue(name, lifetime=LIFETIME, uris=[uri]), uri)


def _authority(folder: Path) -> Authority:
    """The folder's own, made if there is none."""
    # A tenth of a second of imports that no other command needs.
    from towpath.ca import Authority, Pair

    files = folder / "ca.crt", folder / "ca.key"
    if all(path.exists() for path in files):
        try:
            pair = Pair(*(path.read_bytes() for path in files))
            return Authority.load(pair, clock=utc_now)
        except (ValueError, TypeError) as error:
            raise click.ClickException(f"{files[0]} and {files[1]}: {error}") from error
    authority = Authority.create(NAME, lifetime=LIFETIME, clock=utc_now)
    _write(folder / "ca", authority.pair, NAME)
    return authority


def _write(path: Path, pair: Pair, meaning: str) -> None:
    certificate, key = path.with_name(f"{path.name}.crt"), path.with_name(f"{path.name}.key")
    write_file(key, pair.key, mode=0o600)
    write_file(certificate, pair.certificate, mode=0o644)
    click.echo(f"{certificate}, {key}: {meaning}")
