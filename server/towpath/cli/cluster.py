"""Commands that talk to a cluster as the person who types them: the options, and the errors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from towpath.kubeapi.client import KubeApi

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def cluster_options(command: F) -> F:
    """Add `--kubeconfig` and `--context`, as kubectl understands them."""
    command = click.option(
        "--context", default="", help="Context of the kubeconfig; without it, the current one."
    )(command)
    return click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path),
        default=default_kubeconfig,
        show_default="$KUBECONFIG, else ~/.kube/config",
        help="Kubeconfig of the cluster; $KUBECONFIG may name several, separated by colons.",
    )(command)


def namespace_option(command: F) -> F:
    """Add `--osm-namespace`."""
    return click.option(
        "--osm-namespace",
        default="osm-system",
        show_default=True,
        envvar="TOWPATH_OSM_NAMESPACE",
        show_envvar=True,
        help="Namespace of the control plane.",
    )(command)


def default_kubeconfig() -> Path:
    named = os.environ.get("KUBECONFIG")
    return Path(named) if named else Path.home() / ".kube" / "config"


def on_cluster(
    kubeconfig: Path | None,
    context: str,
    act: Callable[[KubeApi], Awaitable[T]],
    *,
    within_s: float = 0,
) -> T:
    """What *act* makes of the cluster's API; what the API refuses becomes the command's error.

    Without *kubeconfig* it is the cluster that we run in. With *within_s*, an API server that does
    not answer for that long has refused.
    """
    # A second of imports that no other command needs.
    from towpath.kubeapi.client import KubeApiError
    from towpath.kubeapi.configuration import connect

    async def run() -> T:
        async with asyncio.timeout(within_s or None):
            api = await connect(kubeconfig, context)
            try:
                return await act(api)
            finally:
                await api.close()

    try:
        return asyncio.run(run())
    except KubeApiError as error:
        raise click.ClickException(str(error)) from error
    except TimeoutError as error:
        raise click.ClickException(f"no answer within {within_s:g} s") from error
