"""Which control plane a command asks: a server by its address, or the replicas in a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from towpath.cli.cluster import cluster_options, namespace_option
from towpath.cli.folder import MESH, ONE_ANSWERS
from towpath.cli.options import refuse_beside, typed
from towpath.cli.server import Server, server_option
from towpath.kubeapi.kubeconfig import kubeconfig_files
from towpath.settings import AccessSettings

F = TypeVar("F", bound=Callable[..., Any])

_CLUSTER = ("kubeconfig", "context")
_NAMESPACE = "osm_namespace"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The control plane in a namespace of a cluster: each of its replicas is asked, by a
    port-forward of Kubernetes, as the user of the kubeconfig.
    """

    kubeconfig: Path
    context: str
    namespace: str


Place = Server | Cluster


def place_options(command: F) -> F:
    """Add what says where the control plane is to a command, which is given a Place.

    That is --server; beside a server, that one; else the control plane of a cluster, if there is
    a kubeconfig; else a server of this machine.
    """

    @functools.wraps(command)
    def with_place(
        *, server: Server | None, kubeconfig: Path, context: str, osm_namespace: str, **rest: Any
    ) -> Any:
        place = _place(server, Cluster(kubeconfig, context, osm_namespace), _NAMESPACE)
        place = place or Server(AccessSettings().ads_address, None)
        return command(place=place, **rest)

    return cast("F", server_option(default=None)(cluster_options(namespace_option(with_place))))


def folder_or_place_options(command: F) -> F:
    """The same for a command that reads a folder if one is given: that has the options MESH, and is
    given a Place, or None for the folder.
    """

    @functools.wraps(command)
    def with_place(
        *,
        manifests: Path | None,
        server: Server | None,
        kubeconfig: Path,
        context: str,
        osm_namespace: str,
        **rest: Any,
    ) -> Any:
        place = None
        if manifests is None or typed("server", *_CLUSTER):
            place = _place(server, Cluster(kubeconfig, context, osm_namespace))
        if isinstance(place, Server):
            refuse_beside("--server", *MESH, reason=ONE_ANSWERS)
        elif place is not None:
            of_folder = (name for name in MESH if name != _NAMESPACE)
            refuse_beside("a cluster's control plane", *of_folder, reason=ONE_ANSWERS)
        return command(place=place, manifests=manifests, osm_namespace=osm_namespace, **rest)

    return cast("F", server_option(default=None)(cluster_options(with_place)))


def reports_place_options(command: F) -> F:
    """The same for a command that reads what sidecars report, or a log (`access_log`) by the folder
    of its options MESH: it is given a Place, or None for a log.
    """

    @functools.wraps(command)
    def with_place(
        *,
        access_log: str | None,
        server: Server | None,
        kubeconfig: Path,
        context: str,
        osm_namespace: str,
        **rest: Any,
    ) -> Any:
        place = None
        if access_log is None:
            place = _place(server, Cluster(kubeconfig, context, osm_namespace))
            place = place or Server(AccessSettings().ads_address, None)
            whose = isinstance(place, Cluster) and _NAMESPACE
            of_folder = (name for name in MESH if name != whose)
            refuse_beside("no --access-log", *of_folder, reason=ONE_ANSWERS)
        else:
            reason = "a log is read without a server, to its end"
            refuse_beside("--access-log", "server", *_CLUSTER, "watch", reason=reason)
        return command(place=place, access_log=access_log, osm_namespace=osm_namespace, **rest)

    return cast("F", server_option(default=None)(cluster_options(with_place)))


def _place(server: Server | None, cluster: Cluster, *of_cluster: str) -> Place | None:
    """The place that is meant, if any is; the options *of_cluster* are of none but a cluster."""
    if typed("server"):
        reason = "one server is asked, by its address"
        refuse_beside("--server", *_CLUSTER, *of_cluster, reason=reason)
        return server
    if server is not None and not typed(*_CLUSTER, *of_cluster):
        return server
    if typed(*_CLUSTER, *of_cluster) or kubeconfig_files(cluster.kubeconfig):
        return cluster
    return None
