"""`towpath certificates`: what the mesh's own authority issues, to the server and to sidecars."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli.cluster import cluster_options, namespace_option, on_cluster
from towpath.cli.files import write_file
from towpath.cli.holdings import list_certificates
from towpath.cli.rotation import rotate
from towpath.cli.settings import setting_options
from towpath.clock import utc_now
from towpath.model.names import Account

if TYPE_CHECKING:
    from towpath.ca import Pair
    from towpath.kubeapi.client import KubeApi

days_option = click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    help="How long the certificate is valid.",
)


@click.group()
def certificates() -> None:
    """Issue certificates from the authority in the Secret towpath-ca, list them, rotate it."""


certificates.add_command(list_certificates)
certificates.add_command(rotate)


@certificates.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@namespace_option
@setting_options("kubeconfig", "context")
def server(*, folder: Path, osm_namespace: str, kubeconfig: Path | None, context: str) -> None:
    """Write a certificate for the control plane's Service to DIR: server.crt, server.key, ca.crt.

    The control plane's init container runs it. If there is no authority yet, it creates one.
    """
    from towpath.ca.mesh_authority import NoAuthority, mesh_authority, serving_pair

    async def act(api: KubeApi) -> tuple[Pair, bytes]:
        authority = await mesh_authority(api, osm_namespace, clock=utc_now)
        return serving_pair(authority, osm_namespace), authority.trusted

    try:
        pair, trusted = on_cluster(kubeconfig, context, act)
    except NoAuthority as error:
        raise click.ClickException(str(error)) from error
    click.echo(_write(folder, "server", pair, trusted))


@certificates.command()
@click.argument("account", metavar="NAMESPACE/SERVICEACCOUNT")
@namespace_option
@setting_options("tls_trust_domain")
@days_option
@cluster_options
def sidecar(
    *,
    account: str,
    osm_namespace: str,
    tls_trust_domain: str,
    days: int,
    kubeconfig: Path,
    context: str,
) -> None:
    """Put a certificate for an account's sidecars into the Secret towpath-sidecar-SERVICEACCOUNT.

    The Secret is in the account's namespace, where pods can mount it. Run the command again to
    renew the certificate.
    """
    from towpath.ca.mesh_authority import NoAuthority, mesh_authority, sidecar_secret
    from towpath.install.objects import apply, read, title
    from towpath.install.ownership import other_owner

    try:
        who = Account.parse(account)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAMESPACE/SERVICEACCOUNT") from error

    async def act(api: KubeApi) -> None:
        authority = await mesh_authority(api, osm_namespace, clock=utc_now)
        lifetime = timedelta(days=days)
        secret = sidecar_secret(
            authority,
            who,
            osm_namespace=osm_namespace,
            trust_domain=tls_trust_domain,
            lifetime=lifetime,
        )
        present = await read(api, secret)
        if present is not None and (owner := other_owner(present)):
            raise click.ClickException(f"{title(secret)} is not Towpath's: {owner}")
        click.echo(f"{await apply(api, secret)} {title(secret)}, valid for {days} days")

    try:
        on_cluster(kubeconfig, context, act)
    except NoAuthority as error:
        raise click.ClickException(str(error)) from error


@certificates.command()
@click.argument("name", metavar="NAME")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@namespace_option
@setting_options("tls_trust_domain")
@days_option
@cluster_options
def person(
    *,
    name: str,
    folder: Path,
    osm_namespace: str,
    tls_trust_domain: str,
    days: int,
    kubeconfig: Path,
    context: str,
) -> None:
    """Write a certificate for a person to DIR: NAME.crt, NAME.key, ca.crt.

    With it a person may call the Inspector, CSDS and reflection of a server whose
    --inspector-identities lists its SPIFFE id.
    """
    from towpath.ca.mesh_authority import NoAuthority, mesh_authority

    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        text = f"{name!r}: allowed are letters, digits, '.', '_' and '-'"
        raise click.BadParameter(text, param_hint="NAME")
    identity = f"spiffe://{tls_trust_domain}/person/{name}"

    async def act(api: KubeApi) -> tuple[Pair, bytes]:
        authority = await mesh_authority(api, osm_namespace, clock=utc_now)
        pair = authority.issue("person", lifetime=timedelta(days=days), uris=[identity])
        return pair, authority.trusted

    try:
        pair, trusted = on_cluster(kubeconfig, context, act)
    except NoAuthority as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{_write(folder, name, pair, trusted)}: {identity}")


def _write(folder: Path, name: str, pair: Pair, trusted: bytes) -> str:
    """Write NAME.key, NAME.crt and ca.crt, and say so."""
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / f"{name}.key", pair.key, mode=0o600)
    write_file(folder / f"{name}.crt", pair.certificate, mode=0o644)
    write_file(folder / "ca.crt", trusted, mode=0o644)
    return f"wrote {folder}/{name}.crt, {folder}/{name}.key, {folder}/ca.crt"
