"""`towpath serve`: run the control plane."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from towpath.app import serve as run
from towpath.cli.options import setting_options
from towpath.settings import Settings, SettingsError
from towpath.sources import SourceError
from towpath.telemetry.logs import configure

TRY = """\
  grpcurl -plaintext {ads} list
  grpcurl -plaintext {ads} towpath.v1.Inspector/ListProblems
  grpcurl -plaintext -d '{{"node_id": "curl.curl"}}' {ads} towpath.v1.Inspector/GetSnapshot"""


@click.command()
@setting_options()
def serve(**options: Any) -> None:
    """Serve sidecars from a folder of manifests, until it is told to stop."""
    try:
        settings = Settings(**options)
        configure(level=settings.log_level, form=settings.log_format)
        asyncio.run(run(settings, announce=_announce))
    except (SettingsError, SourceError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _announce(ads_address: str, http_address: str) -> None:
    click.echo(f"ADS, Inspector, reflection and health (gRPC): {ads_address}")
    click.echo(f"/health/ready, /health/alive, /metrics, /version (HTTP): {http_address}")
    click.echo("Try:\n" + TRY.format(ads=ads_address))
