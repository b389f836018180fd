"""Where the API server is and who we are: from a kubeconfig, or from the pod that we run in."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.kubeapi.kubeconfig import kubeconfig_files

REFRESH_S = 60.0
"""How often a kubeconfig's token is asked for anew, as the official client does in a pod."""

PLUGIN_S = 30.0
"""How long a kubeconfig's plug-in may take."""


async def connect(kubeconfig: Path | None, context: str) -> KubeApi:
    """The API of a kubeconfig's context (""; the current one), or of the cluster we run in.

    *kubeconfig* may be several files, parted by colons: they are merged as kubectl does it, so
    that for each name, and for the current context, the first file counts that has it.
    Raises KubeApiError if there is no usable configuration.
    """
    settings = Configuration()
    try:
        if kubeconfig is None:
            if context:
                raise ValueError(f"context {context} is of a kubeconfig, and none is given")
            config.load_incluster_config(client_configuration=settings)
        else:
            await _load(kubeconfig, context, settings)
        return KubeApi(ApiClient(settings))
    except (config.ConfigException, yaml.YAMLError, OSError, TypeError, ValueError) as error:
        where = "the cluster we run in" if kubeconfig is None else str(kubeconfig)
        raise KubeApiError(0, f"no configuration of {where}: {str(error).rstrip('.')}") from error


async def _load(kubeconfig: Path, context: str, settings: Configuration) -> None:
    # An empty file is one that says nothing.
    texts = {file: text for file in kubeconfig_files(kubeconfig) if (text := _read(file))}
    if not texts:
        raise FileNotFoundError("there is no such file, or it is empty")
    current = (text.get("current-context") for text in texts.values())
    loader = await config.load_kube_config(
        config_file=os.pathsep.join(map(str, texts)),
        # The client would take the last.
        context=context or next(filter(None, current), None),
        client_configuration=settings,
        persist_config=False,
    )
    if "BearerToken" in settings.api_key:
        # A token file may end with a newline, which no header may hold.
        settings.api_key["BearerToken"] = settings.api_key["BearerToken"].strip()
    settings.refresh_api_key_hook = refreshed(  # type: ignore[assignment]
        loader, clock=time.monotonic
    )


def _read(file: Path) -> dict[str, Any]:
    content = yaml.safe_load(file.read_text())
    if content is not None and not isinstance(content, dict):
        raise ValueError(f"{file} is not a kubeconfig")
    content = content or {}
    for kind in ("contexts", "clusters", "users"):
        _refuse_twice(kind, content.get(kind), file)
    return content


def _refuse_twice(kind: str, entries: Any, file: Path) -> None:
    """ValueError if two entries of one file have one name; of two files, the first counts."""
    names = set[str]()
    for entry in entries if isinstance(entries, list) else ():
        name = str(entry.get("name")) if isinstance(entry, dict) else ""
        if name in names:
            raise ValueError(f"{file} has two {kind} of the name {name}: rename one of them")
        names.add(name)


def refreshed(
    loader: Any, *, clock: Callable[[], float], every_s: float = REFRESH_S
) -> Callable[[Configuration], Any]:
    """A hook that asks a kubeconfig's plug-in or token file anew; the client never does it."""
    refreshed_at = clock()

    async def refresh(settings: Configuration) -> None:
        nonlocal refreshed_at
        if clock() - refreshed_at < every_s:
            return
        refreshed_at = clock()
        user = loader._user or {}  # noqa: SLF001 - it has no other name
        if "exec" in user:
            async with asyncio.timeout(PLUGIN_S):
                await loader.load_from_exec_plugin()  # runs it only if the token expires soon
        elif "tokenFile" in user and "token" not in user:
            loader._load_user_token()  # noqa: SLF001
        else:
            return
        token = getattr(loader, "token", None)  # a plug-in may give a certificate instead
        if token:
            settings.api_key["BearerToken"] = token.strip()

    return refresh
