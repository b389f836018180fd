"""`towpath version`: of this command, and of the control planes that a cluster runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath import __version__
from towpath.cli.cluster import cluster_options, on_cluster
from towpath.cli.listing import Column, Listing, output_option, show
from towpath.cli.options import refuse_beside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from towpath.install.installed import Installation

COLUMNS = (Column("NAMESPACE"), Column("MESH"), Column("VERSION"), Column("AVAILABLE"))
ANSWERS_WITHIN_S = 5.0


@click.command()
@click.option(
    "--client-only",
    is_flag=True,
    help="Print the version of this command only; do not contact a cluster.",
)
@cluster_options
@output_option
def version(*, client_only: bool, kubeconfig: Path, context: str, output: str) -> None:
    """Print the version of this command, and of the control planes in the cluster.

    Exit code 0, also where the cluster does not answer: then standard error says why.
    """
    if client_only:
        refuse_beside(
            "--client-only", "kubeconfig", "context", reason="it does not contact a cluster"
        )
    for_people = output in ("table", "wide")
    if for_people:
        # Before the cluster is asked, which may take long.
        click.echo(__version__)
    present = None if client_only else _in_cluster(kubeconfig, context)
    if present is None and for_people:
        return
    installations, fault = present or ((), "")
    if fault:
        click.echo(f"the cluster's control planes are not known: {fault}", err=True)
    rows = [
        (
            *(one.values.osm_namespace, one.values.mesh_name, one.version),
            f"{one.available}/{one.replicas}",
        )
        for one in installations
    ]
    planes = [
        {
            "namespace": one.values.osm_namespace,
            "mesh": one.values.mesh_name,
            "version": one.version,
            "available": one.available,
            "replicas": one.replicas,
        }
        for one in installations
    ]
    document = {
        "version": __version__,
        "controlPlanes": planes,
        "unanswered": fault or None,
    }
    show(lambda: Listing(COLUMNS, rows, [row[0] for row in rows], document), output)


def _in_cluster(kubeconfig: Path, context: str) -> tuple[Sequence[Installation], str] | None:
    """The control planes of the cluster, and why they are not known; None without a kubeconfig."""
    from towpath.kubeapi.kubeconfig import kubeconfig_files

    if not kubeconfig_files(kubeconfig):
        return None
    from towpath.install.installed import find_all

    try:
        return on_cluster(kubeconfig, context, find_all, within_s=ANSWERS_WITHIN_S), ""
    except click.ClickException as error:
        return (), error.message
