"""`towpath bootstrap`: what an Envoy sidecar, or a gRPC client of xDS, is started with."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

import click
import yaml

from towpath.cli.cluster import namespace_option
from towpath.cli.options import refuse_beside
from towpath.encode.envoy.bootstrap import ClientTls, Transport
from towpath.encode.envoy.bootstrap import bootstrap as envoy_bootstrap
from towpath.encode.envoy.token_login import TokenFiles, token_bootstrap
from towpath.encode.envoy.token_login import credential as credential_of
from towpath.encode.grpc.bootstrap import bootstrap as grpc_bootstrap
from towpath.inject.installation import TOKEN_PORT
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
    "--token-file",
    metavar="FILE",
    help="The pod's token, in the sidecar's container, to log in with in place of a certificate; "
    "of --tls-dir it needs only ca.crt. For Envoy, credential.json has to be in the same folder.",
)
@click.option(
    "--credential", is_flag=True, help="Print that credential.json, which says where the token is."
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
    token_file: str | None,
    credential: bool,
    variant: str,
    output: str | None,
) -> None:
    """Print the bootstrap of an Envoy sidecar, for `envoy -c`, or of a gRPC client."""
    _refuse_contradictions(
        client, plaintext=plaintext, token_file=token_file, server=server, credential=credential
    )
    try:
        if pod is not None:
            SidecarId.parse(pod)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--pod") from error
    service = f"towpath.{osm_namespace}.svc.cluster.local"
    try:
        host, port = split_address(server or f"{service}:{TOKEN_PORT if token_file else PORT}")
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
        of_client = grpc_bootstrap(
            whose, server=(host, port), tls=None if plaintext else tls, token=token_file or ""
        )
        click.echo(json.dumps(of_client, indent=2))
        return
    node_id, transport = pod or "", Transport[variant.upper()]
    if token_file is None:
        document = envoy_bootstrap(
            node_id, server=(host, port), transport=transport, tls=None if plaintext else tls
        )
    else:
        token, roots = PurePosixPath(token_file), PurePosixPath(tls.ca)
        files = TokenFiles(token, token.parent / "credential.json")
        by_token = token_bootstrap((host, port), roots, files, node_id=node_id, transport=transport)
        document = credential_of(files) if credential else by_token
    text = json.dumps(document, indent=2) + "\n"
    # By way of JSON, so that equal parts are written out where they stand.
    click.echo(text if output == "json" or credential else _yaml(text), nl=False)


def _refuse_contradictions(
    client: str, *, plaintext: bool, token_file: str | None, server: str | None, credential: bool
) -> None:
    if plaintext:
        refuse_beside("--plaintext", "tls_dir", reason="no certificate is shown or asked for")
        refuse_beside("--plaintext", "token_file", reason="a token is only shown over TLS")
    if credential and (token_file is None or client == ClientKind.GRPC.value):
        raise click.UsageError("--credential goes with --token-file, for Envoy")
    if server is not None:
        refuse_beside("--server", "osm_namespace", reason="it says where the control plane is")


def _yaml(text: str) -> str:
    return yaml.safe_dump(json.loads(text), sort_keys=False)
