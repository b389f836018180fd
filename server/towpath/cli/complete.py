"""Completion of values that only a control plane knows; where none answers there are none."""

from __future__ import annotations

from pathlib import Path

import click

from towpath.cli.cluster import default_kubeconfig
from towpath.cli.place import Cluster, Place
from towpath.cli.server import Server
from towpath.settings import MeshSettings
from towpath_api.v1 import inspector_pb2 as pb


def sidecar_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The connected sidecars whose node ids begin so."""
    from towpath.cli.replicas import replicas_of

    try:
        with replicas_of(_place(ctx)) as replicas:
            answers = replicas.ask(lambda stub: stub.ListSidecars, pb.ListSidecarsRequest())
    except click.ClickException:
        return []
    names = {one.node_id for answer in answers.messages.values() for one in answer.sidecars}
    return sorted(name for name in names if name.startswith(incomplete))


def _place(ctx: click.Context) -> Place:
    """What is typed so far says; defaults are not known while a shell completes."""
    if server := ctx.params.get("server"):
        return Server(server, None)
    kubeconfig = ctx.params.get("kubeconfig") or default_kubeconfig()
    namespace = ctx.params.get("osm_namespace") or MeshSettings().osm_namespace
    return Cluster(Path(kubeconfig), ctx.params.get("context") or "", namespace)
