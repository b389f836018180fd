"""Waiting for what controllers of the cluster do with applied objects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from towpath.install.objects import read, title
from towpath.install.packaged import Document
from towpath.kubeapi.client import KubeApi, KubeApiError

POLL_S = 0.5


class NotInTime(Exception):
    """It did not come about; the message says how far it has come."""


async def established(api: KubeApi, definitions: Iterable[Document], *, within_s: float) -> None:
    """Return once objects of every definition can be made."""
    for definition in definitions:
        lacks = partial(_read, api, definition, not_established)
        await _until(lacks, title(definition), "established", within_s=within_s)


async def served(api: KubeApi, definitions: Iterable[Document], *, within_s: float) -> None:
    """Return once clients are told of every definition's objects: a moment after `established`.

    One that another mesh brought, and that was kept, may have fewer versions: those count.
    """
    for definition in definitions:
        spec = definition["spec"]
        stored = await read(api, definition)
        there = {one["name"] for one in stored["spec"]["versions"]} if stored else set()
        for version in spec["versions"]:
            if version["served"] and (not there or version["name"] in there):
                path = f"/apis/{spec['group']}/{version['name']}"
                lacks = partial(_not_discovered, api, path, spec["names"]["plural"])
                await _until(lacks, title(definition), "served", within_s=within_s)


async def rolled_out(api: KubeApi, deployment: Document, *, within_s: float) -> None:
    """Return once all replicas of the newest generation are available."""
    lacks = partial(_read, api, deployment, missing)
    await _until(lacks, title(deployment), "rolled out", within_s=within_s)


async def _until(
    lacks: Callable[[], Awaitable[str]], subject: str, goal: str, *, within_s: float
) -> None:
    """Return once nothing is lacking; it is looked at again and again."""
    fault = ""
    try:
        async with asyncio.timeout(within_s):
            while True:
                fault = await lacks()
                if not fault:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise NotInTime(f"{subject} is not {goal} after {within_s:g} s: {fault}") from error


async def _read(api: KubeApi, what: Document, lacks: Callable[[Any], str]) -> str:
    """What the object lacks that the cluster has of that name."""
    return lacks(await read(api, what))


async def _not_discovered(api: KubeApi, path: str, plural: str) -> str:
    try:
        answer = json.loads(await api.get(path, {}))
    except KubeApiError as error:
        if not error.not_found:
            raise
        answer = {}
    names = {one["name"] for one in answer.get("resources") or ()}
    return "" if plural in names else f"{path} does not list it"


def missing(deployment: Any) -> str:
    """What a Deployment still lacks; "" if nothing."""
    if deployment is None:
        return "it does not exist"
    status, replicas = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return "its newest generation is not yet observed"
    available = status.get("availableReplicas", 0)
    updated = status.get("updatedReplicas", 0)
    if min(available, updated) >= replicas and status.get("replicas", 0) <= replicas:
        return ""
    reasons = [
        f"{condition.get('reason')}: {condition.get('message')}"
        for condition in status.get("conditions") or ()
        if condition["status"] != ("False" if condition["type"] == "ReplicaFailure" else "True")
    ]
    counts = f"{available} of {replicas} replicas are available, {updated} are of the newest form"
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
