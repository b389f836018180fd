"""Waiting for what controllers of the cluster do with applied objects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from towpath.install.objects import read, title
from towpath.install.packaged import Document
from towpath.kubeapi.client import KubeApi

POLL_S = 0.5


class NotInTime(Exception):
    """It did not come about; the message says how far it has come."""


async def established(api: KubeApi, definitions: Iterable[Document], *, within_s: float) -> None:
    """Return once objects of every definition can be made."""
    for definition in definitions:
        await _until(api, definition, not_established, "established", within_s=within_s)


async def rolled_out(api: KubeApi, deployment: Document, *, within_s: float) -> None:
    """Return once all replicas of the newest generation are available."""
    await _until(api, deployment, missing, "rolled out", within_s=within_s)


async def made(api: KubeApi, what: Document, *, within_s: float) -> None:
    """Return once the object exists."""
    await _until(
        api, what, lambda held: "" if held else "it does not exist", "made", within_s=within_s
    )


async def _until(
    api: KubeApi, what: Document, lacks: Callable[[Any], str], goal: str, *, within_s: float
) -> None:
    """Return once the object lacks nothing; it is read again and again."""
    said = ""
    try:
        async with asyncio.timeout(within_s):
            while True:
                said = lacks(await read(api, what))
                if not said:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise NotInTime(f"{title(what)} is not {goal} after {within_s:g} s: {said}") from error


def missing(deployment: Any) -> str:
    """What a Deployment still lacks; "" if nothing."""
    if deployment is None:
        return "it does not exist"
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return "its newest generation is not yet observed"
    available = status.get("availableReplicas", 0)
    updated = status.get("updatedReplicas", 0)
    if min(available, updated) >= wanted and status.get("replicas", 0) <= wanted:
        return ""
    reasons = [
        f"{condition.get('reason')}: {condition.get('message')}"
        for condition in status.get("conditions") or ()
        if condition["status"] != ("False" if condition["type"] == "ReplicaFailure" else "True")
    ]
    counts = f"{available} of {wanted} replicas are available, {updated} are of the newest form"
    return "; ".join([counts, *reasons])


def not_established(definition: Any) -> str:
    """What a definition lacks for objects of it to be made; "" if nothing."""
    if definition is None:
        return "it does not exist"
    conditions = {
        one["type"]: one for one in (definition.get("status") or {}).get("conditions") or ()
    }
    if conditions.get("Established", {}).get("status") == "True":
        return ""
    names = conditions.get("NamesAccepted", {})
    return str(names.get("message") or "the API server has not looked at it yet")
