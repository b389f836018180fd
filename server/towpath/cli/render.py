"""`towpath render`: what a sidecar would be sent, without a server."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import click
import yaml
from google.protobuf.json_format import MessageToDict

from towpath.cli.folder import MESH, offline
from towpath.cli.options import ClientKindType, refuse_beside
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.encode.pack import unpack
from towpath.encode.shown import shown
from towpath.model.names import ClientKind, SidecarId
from towpath.model.snapshot import ResourceSet, Snapshot
from towpath.model.types import SHORT_NAMES, SIDECAR
from towpath.summary import summarize
from towpath_api.v1.pipy import to_json
from towpath_api.v1.sidecar_pb2 import SidecarConfig

ALL = tuple(SHORT_NAMES.values())
SUMMARY = "summary"


@click.command(cls=SettingsCommand)
@setting_options(*MESH)
@click.option(
    "--sidecar",
    required=True,
    metavar="POD.NAMESPACE",
    help="The sidecar whose snapshot is printed.",
)
@click.option(
    "--type",
    "short",
    type=click.Choice(ALL),
    help="Only this resource type.",
)
@click.option(
    "--client",
    type=ClientKindType(),
    default=ClientKind.ENVOY.value,
    show_default=True,
    help="The kind of client; each kind gets resources of its own.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(("yaml", "json", SUMMARY)),
    default="yaml",
    show_default=True,
    help="Every field, or a summary: what each chain, route, cluster and endpoint list decides.",
)
def render(
    *,
    manifests: Path | None,
    sidecar: str,
    short: str | None,
    client: ClientKind,
    output: str,
    **mesh: str,
) -> None:
    """Print the configuration of a sidecar: every resource, with its version.

    With --type sidecar, it is the config.json that a Pipy sidecar reads, or its summary; what Pipy
    sidecars cannot enforce is printed on standard error.
    """
    try:
        who = SidecarId.parse(sidecar)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--sidecar") from error
    of_pipy = short == SHORT_NAMES[SIDECAR]
    if of_pipy and client is not ClientKind.PIPY:
        refuse_beside("--type sidecar", "client", reason="it is what Pipy sidecars read")
    if of_pipy and output != SUMMARY:
        refuse_beside("--type sidecar", "output", reason="its form is that of config.json")
    read = offline(manifests, **mesh)
    snapshot = read.snapshot(ClientKind.PIPY if of_pipy else client, who)
    if snapshot is None:
        raise click.UsageError(f"no Pod {who.namespace}/{who.pod} in {manifests}")
    for problem in read.withheld(ClientKind.PIPY, who) if of_pipy else ():
        click.echo(str(problem), err=True)
    if of_pipy and output != SUMMARY:
        click.echo(config_json(snapshot), nl=False)
    else:
        click.echo(as_text(snapshot, (short,) if short else ALL, output=output), nl=False)


def config_json(snapshot: Snapshot) -> str:
    """The config.json of a Pipy sidecar, byte for byte as its agent writes it."""
    (config,) = snapshot.of(SIDECAR).values()
    return to_json(SidecarConfig.FromString(unpack(config).value), version=config.version)


def as_text(snapshot: Snapshot, types: Collection[str] = ALL, *, output: str) -> str:
    """The resources of these types, by short name, as `yaml`, `json` or `summary`."""
    sets = {
        name: snapshot.of(type_url)
        for type_url, name in SHORT_NAMES.items()
        if type_url in snapshot.sets and name in types
    }
    if output == SUMMARY:
        return summarize(resource for one in sets.values() for resource in one.values())
    # Nested messages come as dictionaries of a type of their own, which YAML does not know.
    text = json.dumps({name: _in_full(one) for name, one in sets.items()}, sort_keys=True, indent=2)
    if output == "json":
        return text + "\n"
    return yaml.safe_dump(json.loads(text), sort_keys=True, width=100)


def _in_full(resources: ResourceSet) -> dict[str, Any]:
    """The version of a type, and by name each resource with its own."""
    return {
        "version": resources.version,
        "resources": {
            name: {"version": resource.version, **MessageToDict(shown(resource))}
            for name, resource in resources.items()
        },
    }
