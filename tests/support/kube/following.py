"""Clients of a replica that accept all they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.dataplane import wait
from support.kube.replica import Replica
from towpath_api.v1 import inspector_pb2 as pb
from towpath_client import CLUSTER, ENDPOINTS, LISTENER, ROUTES, AdsClient, Backoff, Mode, Update

NAMED = (ENDPOINTS, ROUTES)
TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)


def snapshot(replica: Replica, node: str) -> pb.GetSnapshotResponse:
    with replica.channel() as channel:
        return replica.inspector(channel).GetSnapshot(pb.GetSnapshotRequest(node_id=node))


@asynccontextmanager
async def following(
    address: Path, node: str, mode: Mode, like: Replica
) -> AsyncIterator[list[tuple[str, Update]]]:
    """A client that accepts all it is sent, of every type; gives its updates as they come.

    *like* has the endpoints and routes to ask for.
    """
    seen: list[tuple[str, Update]] = []
    backoff = Backoff(initial_s=0.05, maximum_s=0.2)
    client = AdsClient(f"unix:{address}", node, mode=mode, backoff=backoff)
    names = {one.type_url: [r.name for r in one.resources] for one in snapshot(like, node).types}

    async def follow(type_url: str, to_ask: list[str]) -> None:
        async for update in client.subscribe(type_url, to_ask):
            seen.append((type_url, update))  # noqa: PERF401 - whoever reads it does so meanwhile

    async with client, asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(follow(one, names[one] if one in NAMED else ["*"])) for one in TYPES
        ]
        yield seen
        for task in running:
            task.cancel()


def until_name(replica: Replica, name: str) -> None:
    """Return when its snapshot for curl has a resource of that name."""
    wait.until(
        lambda: {r.name for one in snapshot(replica, "curl.curl").types for r in one.resources},
        lambda names: name in names,
        what=f"{replica.socket.name} has {name}",
    )
