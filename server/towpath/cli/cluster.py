"""Commands that talk to a cluster as the person who types them: the options, and the errors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from towpath.cli.settings import setting_options, setting_type
from towpath.model.text import printable_lines
from towpath.settings import MeshSettings

if TYPE_CHECKING:
    from towpath.kubeapi.client import KubeApi

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def cluster_options(command: F) -> F:
    """Add `--kubeconfig` and `--context`, as kubectl understands them."""
    command = click.option(
        "--context",
        default="",
        shell_complete=_contexts,
        help="Context of the kubeconfig; without it, the current one.",
    )(command)
    return click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path),
        default=default_kubeconfig,
        show_default="$KUBECONFIG, else ~/.kube/config",
        help="Kubeconfig of the cluster; $KUBECONFIG may name several, separated by colons.",
    )(command)


def _contexts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    # That module needs this one.
    from towpath.cli.complete import context_names

    return context_names(ctx, param, incomplete)


namespace_option = setting_options("osm_namespace")

mesh_name_option = click.option(
    "--mesh-name",
    type=setting_type("mesh_name"),
    default=MeshSettings().mesh_name,
    show_default=True,
    help="Name of the mesh.",
)


def default_kubeconfig() -> Path:
    paths = os.environ.get("KUBECONFIG")
    return Path(paths) if paths else Path.home() / ".kube" / "config"


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
        raise click.ClickException(printable_lines(str(error))) from error
    except TimeoutError as error:
        raise click.ClickException(f"no answer within {within_s:g} s") from error
