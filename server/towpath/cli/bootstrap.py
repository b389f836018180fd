"""`towpath bootstrap`: what an Envoy sidecar, or a gRPC client of xDS, is started with."""

from __future__ import annotations

import json

import click
import yaml

from towpath.cli.cluster import namespace_option
from towpath.cli.options import refuse_beside
from towpath.encode.envoy.bootstrap import ClientTls, Transport
from towpath.encode.envoy.bootstrap import bootstrap as envoy_bootstrap
from towpath.encode.grpc.bootstrap import bootstrap as grpc_bootstrap
from towpath.model.names import ClientKind, SidecarId
from towpath.settings import AccessSettings, split_address

FOLDER = "/etc/towpath/tls"
_, PORT = split_address(AccessSettings().ads_address)
POD_BY_ENVIRONMENT = "$(POD_NAME).$(POD_NAMESPACE)"
"""What Kubernetes makes the pod's own in the value of an environment variable."""


@click.command()
@click.option(
    "--pod",
    metavar="POD.NAMESPACE",
    help="The pod. Without it, Envoy gets its node id from --service-node POD.NAMESPACE and a gRPC "
    "client from the environment variables POD_NAME and POD_NAMESPACE: one bootstrap serves all "
    "pods of a Deployment.",
)
@click.option(
    "--client",
    type=click.Choice((ClientKind.ENVOY.value, ClientKind.GRPC.value)),
    default=ClientKind.ENVOY.value,
    show_default=True,
    help="Kind of client: an Envoy sidecar, or a gRPC client without a sidecar.",
)
@namespace_option
@click.option(
    "--server",
    metavar="HOST:PORT",
    help="Where the control plane listens.  [default: its Service in --osm-namespace]",
)
@click.option("--plaintext", is_flag=True, help="No TLS, for a server without TLS.")
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
    help="Variant of the xDS protocol for Envoy.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(("yaml", "json")),
    help="[default: yaml; for gRPC, which reads no other, json]",
)
def bootstrap(
    *,
    pod: str | None,
    client: str,
    osm_namespace: str,
    server: str | None,
    plaintext: bool,
    tls_dir: str,
    variant: str,
    output: str | None,
) -> None:
    """Print the bootstrap of an Envoy sidecar, for `envoy -c`, or of a gRPC client."""
    if plaintext:
        refuse_beside("--plaintext", "tls_dir", reason="no certificate is shown or asked for")
    if server is not None:
        refuse_beside("--server", "osm_namespace", reason="it says where the control plane is")
    try:
        if pod is not None:
            SidecarId.parse(pod)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--pod") from error
    service = f"towpath.{osm_namespace}.svc.cluster.local"
    try:
        host, port = split_address(server or f"{service}:{PORT}")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--server") from error
    tls = ClientTls(
        ca=f"{tls_dir}/ca.crt",
        certificate=f"{tls_dir}/tls.crt",
        key=f"{tls_dir}/tls.key",
        server_name=host if server else service,
    )
    if client == ClientKind.GRPC.value:
        refuse_beside("--client grpc", "variant", reason="such a client has one of its own")
        if output == "yaml":
            raise click.UsageError("--client grpc and --output yaml: gRPC reads JSON")
        whose = pod or POD_BY_ENVIRONMENT
        of_client = grpc_bootstrap(whose, server=(host, port), tls=None if plaintext else tls)
        click.echo(json.dumps(of_client, indent=2))
        return
    document = envoy_bootstrap(
        pod or "",
        server=(host, port),
        transport=Transport[variant.upper()],
        tls=None if plaintext else tls,
    )
    text = json.dumps(document, indent=2) + "\n"
    # By way of JSON, so that equal parts are written out where they stand.
    click.echo(text if output == "json" else _yaml(text), nl=False)


def _yaml(text: str) -> str:
    return yaml.safe_dump(json.loads(text), sort_keys=False)
