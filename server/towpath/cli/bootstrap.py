"""`towpath bootstrap`: what an Envoy sidecar is started with."""

from __future__ import annotations

import json

import click
import yaml

from towpath.cli.cluster import namespace_option
from towpath.encode.envoy.bootstrap import ClientTls, Transport
from towpath.encode.envoy.bootstrap import bootstrap as make
from towpath.model.names import SidecarId
from towpath.settings import split_address

FOLDER = "/etc/towpath/tls"


@click.command()
@click.option(
    "--pod",
    metavar="POD.NAMESPACE",
    help="Whose; without it Envoy is told by --service-node POD.NAMESPACE, so that one bootstrap "
    "serves all pods of a Deployment.",
)
@namespace_option
@click.option(
    "--server",
    metavar="HOST:PORT",
    help="Where the control plane listens.  [default: its Service in --osm-namespace]",
)
@click.option("--plaintext", is_flag=True, help="No TLS, for a server that speaks none.")
@click.option(
    "--tls-dir",
    default=FOLDER,
    show_default=True,
    help="Folder, in the sidecar's container, of tls.crt, tls.key and ca.crt.",
)
@click.option(
    "--variant",
    type=click.Choice(("delta", "sotw")),
    default="delta",
    show_default=True,
    help="Variant of the xDS protocol.",
)
@click.option("-o", "--output", type=click.Choice(("yaml", "json")), default="yaml")
def bootstrap(
    *,
    pod: str | None,
    osm_namespace: str,
    server: str | None,
    plaintext: bool,
    tls_dir: str,
    variant: str,
    output: str,
) -> None:
    """Print the bootstrap of an Envoy sidecar, for `envoy -c`."""
    try:
        if pod is not None:
            SidecarId.parse(pod)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--pod") from error
    service = f"towpath.{osm_namespace}.svc.cluster.local"
    try:
        host, port = split_address(server or f"{service}:15128")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--server") from error
    tls = ClientTls(
        ca=f"{tls_dir}/ca.crt",
        certificate=f"{tls_dir}/tls.crt",
        key=f"{tls_dir}/tls.key",
        server_name=host if server else service,
    )
    made = make(
        pod or "",
        server=(host, port),
        transport=Transport[variant.upper()],
        tls=None if plaintext else tls,
    )
    text = json.dumps(made, indent=2) + "\n"
    # By way of JSON, so that equal parts are written out where they stand.
    click.echo(text if output == "json" else _yaml(text), nl=False)


def _yaml(text: str) -> str:
    return yaml.safe_dump(json.loads(text), sort_keys=False)
