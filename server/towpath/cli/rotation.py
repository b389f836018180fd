"""`towpath certificates rotate`: another authority, in three steps without a lost connection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli.cluster import namespace_option, on_cluster
from towpath.cli.holdings import Holding, holdings
from towpath.cli.server import Server, server_option
from towpath.cli.settings import setting_options
from towpath.clock import utc_now

if TYPE_CHECKING:
    from cryptography import x509

    from towpath.ca.rotation import Entries
    from towpath.inject.trust import Trust
    from towpath.kubeapi.client import KubeApi

further_option = click.option(
    "--further",
    "further",
    multiple=True,
    metavar="ADDRESS",
    help="Address of another replica, reached with the same certificate. Can be given several "
    "times.",
)

AFTER_TRUST = """\
A new root is trusted; the old one still signs. Before `rotate sign`: issue again what was issued by
hand (`towpath certificates sidecar`, `person`), and restart pods whose bootstrap names the old root
only, so that all of them know both."""

AFTER_SIGN = """\
The new root signs. Before `rotate drop`: `kubectl rollout restart deployment/towpath`, so that the
server shows a certificate of the new root, and issue again what was issued by hand."""

AFTER_DROP = """\
The old root is trusted no longer. `kubectl rollout restart deployment/towpath`, so that the server
takes no certificate of the old root either."""


@click.group()
def rotate() -> None:
    """Exchange the authority in the Secret towpath-ca: trust, then sign, then drop.

    Each step refuses while a connected sidecar has not acknowledged the one before, or an injected
    pod could not reach a server that has taken it.
    """


@rotate.command()
@namespace_option
@setting_options("kubeconfig", "context")
def trust(*, osm_namespace: str, kubeconfig: Path | None, context: str) -> None:
    """Make a new root, which sidecars trust beside the old one."""
    from towpath.ca import rotation
    from towpath.ca.mesh_authority import LIFETIME, NAME

    def step(entries: Entries, _: Trust) -> Entries:
        return rotation.trust(entries, NAME, lifetime=LIFETIME, clock=utc_now)

    _change(osm_namespace, kubeconfig, context, step)
    click.echo(AFTER_TRUST)


@rotate.command()
@namespace_option
@setting_options("kubeconfig", "context", "mesh_name")
@server_option()
@further_option
def sign(
    *,
    osm_namespace: str,
    kubeconfig: Path | None,
    context: str,
    mesh_name: str,
    server: Server,
    further: tuple[str, ...],
) -> None:
    """Let the new root sign, once every sidecar trusts it."""
    from towpath.ca import rotation

    def step(entries: Entries, pods: Trust) -> Entries:
        root = rotation.next_root(entries, clock=utc_now)
        _every_pod(pods, root)
        text = "do not trust the new root yet"
        _all_replicas(server, further, lambda one: _trusts(one, root), text)
        return rotation.sign(entries, clock=utc_now)

    servers = 1 + len(further)
    _change(osm_namespace, kubeconfig, context, step, servers=servers, mesh_name=mesh_name)
    click.echo(AFTER_SIGN)


@rotate.command()
@namespace_option
@setting_options("kubeconfig", "context", "mesh_name")
@server_option()
@further_option
def drop(
    *,
    osm_namespace: str,
    kubeconfig: Path | None,
    context: str,
    mesh_name: str,
    server: Server,
    further: tuple[str, ...],
) -> None:
    """Trust the old root no longer, once every sidecar shows a certificate of the new one."""
    from towpath.ca import rotation
    from towpath.ca.mesh_authority import NAME
    from towpath.ca.secret import read_authority

    def step(entries: Entries, pods: Trust) -> Entries:
        dropped = rotation.drop(entries, NAME, clock=utc_now)
        root = read_authority(dropped, clock=utc_now).certificate
        _every_pod(pods, root)
        text = "do not show a certificate of the new root yet"
        _all_replicas(server, further, lambda one: _shows(one, root), text)
        return dropped

    servers = 1 + len(further)
    _change(osm_namespace, kubeconfig, context, step, servers=servers, mesh_name=mesh_name)
    click.echo(AFTER_DROP)


def _change(
    namespace: str,
    kubeconfig: Path | None,
    context: str,
    step: Callable[[Entries, Trust], Entries],
    *,
    servers: int = 0,
    mesh_name: str = "",
) -> None:
    """Take a step with the Secret, by what pods of the mesh trust; *servers* is how many it asks
    for their sidecars.
    """
    from towpath.ca.mesh_authority import NoAuthority, change_secret
    from towpath.ca.rotation import TooEarly
    from towpath.inject.trust import pods_trust
    from towpath.status.reports import replicas

    async def act(api: KubeApi) -> None:
        running = await replicas(api, namespace, now=utc_now()) if servers else 0
        if running > servers:
            raise TooEarly(
                f"{running} replicas serve sidecars, and {servers} would be asked: give the "
                "addresses of the others by --further, or scale to one"
            )
        pods = await pods_trust(api, mesh_name) if servers else {}
        await change_secret(api, namespace, lambda entries: step(entries, pods))

    try:
        on_cluster(kubeconfig, context, act)
    except (NoAuthority, TooEarly) as error:
        raise click.ClickException(str(error)) from error


def _all_replicas(
    server: Server, further: tuple[str, ...], done: Callable[[Holding], bool], text: str
) -> None:
    """TooEarly unless what every sidecar of these servers holds is *done*."""
    from towpath.ca.rotation import TooEarly

    servers = (server, *(Server(address, server.tls) for address in further))
    late = [one.node_id for each in servers for one in holdings(each) if not done(one)]
    if late:
        some = ", ".join(sorted(set(late))[:5])
        raise TooEarly(f"{len(late)} sidecars {text}, such as {some}: wait, and try again")


def _every_pod(pods: Trust, root: x509.Certificate) -> None:
    """TooEarly unless all of them would take a server with a certificate of that root."""
    from towpath.ca.rotation import TooEarly

    late = sorted(name for name, roots in pods.items() if root not in roots)
    if late:
        some = ", ".join(late[:5])
        raise TooEarly(
            f"{len(late)} injected pods do not have the new root in their bootstrap, such as "
            f"{some}: restart them (`kubectl rollout restart`), and try again"
        )


def _trusts(holding: Holding, root: x509.Certificate) -> bool:
    return holding.accepted and all(root in roots for roots in holding.roots.values())


def _shows(holding: Holding, root: x509.Certificate) -> bool:
    from towpath.ca.secret import issued

    leaves = (chain[0] for chain in holding.chains.values())
    return holding.accepted and all(issued(leaf, root) for leaf in leaves)
