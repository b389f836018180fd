"""`towpath version`: of this command, and of the control planes that a cluster runs."""

from __future__ import annotations

from pathlib import Path

import click

from towpath import __version__
from towpath.cli.cluster import cluster_options, on_cluster
from towpath.cli.listing import Column, Listing, rendered
from towpath.cli.options import refuse_beside

COLUMNS = (Column("NAMESPACE"), Column("MESH"), Column("VERSION"), Column("AVAILABLE"))
ANSWERS_WITHIN_S = 5.0


@click.command()
@click.option(
    "--client-only",
    is_flag=True,
    help="Print the version of this command only; do not contact a cluster.",
)
@cluster_options
def version(*, client_only: bool, kubeconfig: Path, context: str) -> None:
    """Print the version of this command, and of the control planes in the cluster."""
    if client_only:
        refuse_beside(
            "--client-only", "kubeconfig", "context", reason="it does not contact a cluster"
        )
    click.echo(__version__)
    if client_only:
        return
    from towpath.kubeapi.kubeconfig import kubeconfig_files

    if not kubeconfig_files(kubeconfig):
        return
    from towpath.install.installed import find_all

    try:
        installations = on_cluster(kubeconfig, context, find_all, within_s=ANSWERS_WITHIN_S)
    except click.ClickException as error:
        click.echo(f"the cluster's control planes are not known: {error.message}", err=True)
        return
    rows = [
        (one.values.osm_namespace, one.values.mesh_name, one.version, one.replicas)
        for one in installations
    ]
    click.echo(rendered(Listing(COLUMNS, rows, (), None), "table"), nl=False)
