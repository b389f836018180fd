"""`towpath install`: from an empty cluster to a control plane."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import yaml

from towpath import __version__
from towpath.cli.cluster import cluster_options, namespace_option, on_cluster
from towpath.install.manifests import CONFIG, as_yaml, manifests
from towpath.install.values import KEYS, ValueRefused, Values, parse

if TYPE_CHECKING:
    from towpath.kubeapi.client import KubeApi

F = TypeVar("F", bound=Callable[..., Any])

ESTABLISHED_WITHIN_S = 60.0
_NEXT = """\
Next:
  kubectl rollout status deployment/towpath -n {namespace}
  {add}    # its pods join the mesh
  towpath check{namespace_option}                 # is all well?"""

_NAMES = "\n\n".join(f"{name}: {key.text} ({key.allowed})" for name, key in sorted(KEYS.items()))
SET_HELP = f"""\b
What --set takes, by the names of Open Service Mesh's chart:

{_NAMES}"""


def rollout_options(command: F) -> F:
    """Add what `install` and `upgrade` have in common."""
    for option in (
        click.option("--timeout", default=300.0, show_default=True, help="For --wait. In seconds."),
        click.option("--wait", is_flag=True, help="Return when every replica is available."),
        click.option("--dry-run", is_flag=True, help="Print the YAML, and apply nothing."),
        click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="See above."),
    ):
        command = option(command)
    return command


@click.command(help=f"Install the control plane.\n\n{SET_HELP}")
@cluster_options
@namespace_option
@click.option("--mesh-name", default="osm", show_default=True, help="Name of the mesh.")
@rollout_options
def install(
    *,
    kubeconfig: Path,
    context: str,
    osm_namespace: str,
    mesh_name: str,
    pairs: tuple[str, ...],
    dry_run: bool,
    wait: bool,
    timeout: float,
) -> None:
    """Apply the packaged manifests; the help text is above, for it lists the keys."""
    values = read_values(pairs, Values(mesh_name=mesh_name, osm_namespace=osm_namespace))
    documents = manifests(values)
    if dry_run:
        click.echo(as_yaml(documents), nl=False)
        return

    async def act(api: KubeApi) -> None:
        click.echo(f"Towpath {__version__}: mesh {values.mesh_name} in {values.osm_namespace}")
        await apply_all(api, documents)
        await _tell_of_mesh_config(api, values)
        if wait:
            await wait_for_rollout(api, values, within_s=timeout)

    on_cluster(kubeconfig, context, act)
    option = "" if values.osm_namespace == "osm-system" else f" --osm-namespace {osm_namespace}"
    mesh = "" if values.mesh_name == "osm" else f" --mesh-name {values.mesh_name}"
    add = f"towpath namespace add NAMESPACE{mesh}"
    click.echo(_NEXT.format(namespace=values.osm_namespace, namespace_option=option, add=add))


def read_values(pairs: tuple[str, ...], start: Values) -> Values:
    try:
        return parse(pairs, start)
    except ValueRefused as error:
        raise click.BadParameter(str(error), param_hint="--set") from error


async def apply_all(api: KubeApi, documents: list[dict[str, Any]]) -> None:
    """Apply the definitions, wait until they are established, apply the rest; say each."""
    from towpath.install.objects import apply, title
    from towpath.install.waiting import NotInTime, established

    definitions = [one for one in documents if one["kind"] == "CustomResourceDefinition"]
    for document in definitions:
        click.echo(f"  {await apply(api, document):9} {title(document)}")
    try:
        await established(api, definitions, within_s=ESTABLISHED_WITHIN_S)
    except NotInTime as error:
        raise click.ClickException(str(error)) from error
    for document in documents:
        if document not in definitions:
            click.echo(f"  {await apply(api, document):9} {title(document)}")


async def wait_for_rollout(api: KubeApi, values: Values, *, within_s: float) -> None:
    from towpath.install.installed import deployment, mesh_config
    from towpath.install.waiting import NotInTime, made, rolled_out

    click.echo("Waiting until every replica is available …")
    try:
        await rolled_out(api, deployment(values.osm_namespace), within_s=within_s)
        await made(api, mesh_config(values.osm_namespace), within_s=within_s)
    except NotInTime as error:
        raise click.ClickException(str(error)) from error
    click.echo("Every replica is available.")


async def _tell_of_mesh_config(api: KubeApi, values: Values) -> None:
    """The values of --set are for a new MeshConfig: say so if there is one already."""
    from towpath.install.installed import differing, mesh_config, patch_command
    from towpath.install.objects import read

    config = await read(api, mesh_config(values.osm_namespace))
    if config is None:
        click.echo(f"The first replica that runs creates the MeshConfig {CONFIG}.")
        return
    click.echo(f"The MeshConfig {values.osm_namespace}/{CONFIG} was here before: it is untouched.")
    for path, (held, wanted) in differing(config, values.preset).items():
        shown = "not set" if held is None else yaml.safe_dump(held).split("\n")[0]
        click.echo(
            f"WARNING: spec.{path} is {shown} there, and --set does not change it. To change it:\n"
            f"  {patch_command(values.osm_namespace, path, wanted)}",
            err=True,
        )
