"""Completion of values that only a folder or a control plane knows; without an answer, none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import click

from towpath.answers.access_change import accounts_of
from towpath.cli.cluster import default_kubeconfig
from towpath.cli.folder import MESH, offline
from towpath.cli.place import Cluster, Place
from towpath.cli.server import Server
from towpath.kubeapi.kubeconfig import kubeconfig_files
from towpath.model.names import Account, Kind
from towpath.settings import MeshSettings
from towpath_api.v1 import inspector_pb2 as pb

ANSWERS_WITHIN_S = 2.0
"""Nobody waits longer at a shell."""


def sidecar_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The connected sidecars whose node ids begin so."""
    return _beginning({one.node_id for one in _sidecars(ctx)}, incomplete)


def account_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The service accounts that begin so: those of the folder, or of the connected sidecars."""
    manifests = ctx.params.get("manifests")
    if manifests is None:
        streams = (one for one in _sidecars(ctx) if one.service_account)
        return _beginning({f"{one.namespace}/{one.service_account}" for one in streams}, incomplete)
    return _beginning(map(str, _accounts(ctx, Path(manifests))), incomplete)


def namespace_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The namespaces of the kubeconfig's cluster that begin so."""
    from towpath.cli.cluster import on_cluster
    from towpath.install.objects import listed
    from towpath.kubeapi.paths import COLLECTIONS

    cluster = _cluster(ctx)
    try:
        records = on_cluster(
            cluster.kubeconfig,
            cluster.context,
            lambda api: listed(api, COLLECTIONS[Kind.NAMESPACE], {}),
            within_s=ANSWERS_WITHIN_S,
        )
    except click.ClickException:
        return []
    return _beginning((record["metadata"]["name"] for record in records), incomplete)


def context_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The contexts of the kubeconfig that begin so."""
    # A dozen milliseconds of imports that only this needs.
    import yaml

    names = set[str]()
    for file in kubeconfig_files(_cluster(ctx).kubeconfig):
        with contextlib.suppress(yaml.YAMLError, OSError, ValueError, TypeError, LookupError):
            text = yaml.safe_load(file.read_text())
            names |= {str(one["name"]) for one in text["contexts"]}
    return _beginning(names, incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    # What others call themselves may hold what a terminal obeys: such a name is typed by hand.
    return sorted(name for name in names if name.startswith(incomplete) and name.isprintable())


def _sidecars(ctx: click.Context) -> list[pb.Sidecar]:
    from towpath.cli.replicas import replicas_of

    try:
        with replicas_of(_place(ctx)) as replicas:
            answers = replicas.ask(lambda stub: stub.ListSidecars, pb.ListSidecarsRequest())
    except click.ClickException:
        return []
    return [one for answer in answers.messages.values() for one in answer.sidecars]


def _accounts(ctx: click.Context, manifests: Path) -> Iterable[Account]:
    settings = {name: ctx.params.get(name) for name in MESH[1:]}
    try:
        mesh = offline(manifests, **{name: one for name, one in settings.items() if one}).mesh
    except click.ClickException:
        return ()
    return accounts_of(mesh)


def _place(ctx: click.Context) -> Place:
    """What is typed so far says; defaults are not known while a shell completes."""
    if server := ctx.params.get("server"):
        return Server(server, None)
    return _cluster(ctx)


def _cluster(ctx: click.Context) -> Cluster:
    kubeconfig = ctx.params.get("kubeconfig") or default_kubeconfig()
    namespace = ctx.params.get("osm_namespace") or MeshSettings().osm_namespace
    return Cluster(Path(kubeconfig), ctx.params.get("context") or "", namespace)
