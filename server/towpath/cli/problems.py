"""`towpath problems`: what is wrong with a folder of manifests."""

from __future__ import annotations

from pathlib import Path

import click

from towpath.app import Offline
from towpath.cli.options import ClientKindType, setting_options
from towpath.model.names import ClientKind
from towpath.sources import SourceError


@click.command()
@setting_options("manifests", "mesh_name", "osm_namespace", "cross_namespace_egress")
@click.option(
    "--client",
    type=ClientKindType(),
    help="Also what sidecars of this kind could not do as policies say (NotEnforceable).",
)
def problems(manifests: Path | None, client: ClientKind | None, **mesh: str) -> None:
    """List what is wrong with a folder of manifests.

    Exit code 0: nothing; 1: something; 2: it could not be looked at.
    """
    found = offline(manifests, **mesh).problems(client)
    for problem in found:
        click.echo(str(problem))
    click.echo(f"{len(found)} problem{'' if len(found) == 1 else 's'}", err=True)
    raise SystemExit(1 if found else 0)


def offline(manifests: Path | None, **mesh: str) -> Offline:
    """Read the folder, or say what is wrong with the option; *mesh* is for `Offline`."""
    if manifests is None:
        raise click.UsageError("--manifests is not set: give the folder to read")
    try:
        return Offline(manifests, **mesh)
    except SourceError as error:
        raise click.UsageError(str(error)) from error
