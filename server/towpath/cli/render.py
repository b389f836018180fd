"""`towpath render`: what a sidecar would be sent, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import yaml
from google.protobuf.json_format import MessageToDict

from towpath.app import Offline
from towpath.cli.options import ClientKindType, refuse_beside
from towpath.cli.problems import MESH, offline
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.encode.pack import unpack
from towpath.model.names import ClientKind, SidecarId
from towpath.model.types import SHORT_NAMES, SIDECAR
from towpath_api.v1.pipy import to_json
from towpath_api.v1.sidecar_pb2 import SidecarConfig


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
    type=click.Choice(tuple(SHORT_NAMES.values())),
    help="Only this resource type.",
)
@click.option(
    "--client",
    type=ClientKindType(),
    default=ClientKind.ENVOY.value,
    show_default=True,
    help="The kind of client; each kind gets resources of its own.",
)
@click.option("-o", "--output", type=click.Choice(("yaml", "json")), default="yaml")
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

    With --type sidecar, it is the config.json that a Pipy sidecar reads; what Pipy sidecars cannot
    enforce is printed on standard error.
    """
    try:
        who = SidecarId.parse(sidecar)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--sidecar") from error
    read = offline(manifests, **mesh)
    if short == SHORT_NAMES[SIDECAR]:
        if client is not ClientKind.PIPY:
            refuse_beside("--type sidecar", "client", reason="it is what Pipy sidecars read")
        refuse_beside("--type sidecar", "output", reason="its form is that of Pipy's config.json")
        text = render_pipy(read, who)
        for problem in read.withheld(ClientKind.PIPY, who):
            click.echo(str(problem), err=True)
    else:
        rendered = render_snapshot(read, who, client=client, short=short)
        text = None if rendered is None else as_text(rendered, output=output)
    if text is None:
        raise click.UsageError(f"no Pod {who.namespace}/{who.pod} in {manifests}")
    click.echo(text, nl=False)


def render_pipy(mesh: Offline, sidecar: SidecarId) -> str | None:
    """The config.json of a Pipy sidecar, byte for byte as its agent writes it."""
    snapshot = mesh.snapshot(ClientKind.PIPY, sidecar)
    if snapshot is None:
        return None
    held = snapshot.of(SIDECAR)[str(sidecar)]
    return to_json(SidecarConfig.FromString(unpack(held).value), version=held.version)


def render_snapshot(
    mesh: Offline,
    sidecar: SidecarId,
    *,
    client: ClientKind = ClientKind.ENVOY,
    short: str | None = None,
) -> dict[str, Any] | None:
    """The snapshot as plain data: by short type name, a version and the resources by name."""
    snapshot = mesh.snapshot(client, sidecar)
    if snapshot is None:
        return None
    return {
        name: {
            "version": snapshot.of(type_url).version,
            "resources": {
                held.name: {"version": held.version, **MessageToDict(unpack(held))}
                for held in sorted(snapshot.of(type_url).values(), key=lambda r: r.name)
            },
        }
        for type_url, name in SHORT_NAMES.items()
        if type_url in snapshot.sets and short in (None, name)
    }


def as_text(rendered: dict[str, Any], *, output: str) -> str:
    """YAML or JSON, keys sorted."""
    if output == "json":
        return json.dumps(rendered, indent=2, sort_keys=True) + "\n"
    # Nested messages come as dictionaries of a type of their own, which YAML does not know.
    return yaml.safe_dump(json.loads(json.dumps(rendered)), sort_keys=True, width=100)
