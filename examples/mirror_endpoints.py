"""Keep a table of the addresses behind every cluster that a sidecar may use."""

from __future__ import annotations

import asyncio
import os

from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from towpath_client import CLUSTER, ENDPOINTS, AdsClient, Subscription

SERVER = os.environ.get("SERVER", "127.0.0.1:15128")
NODE = os.environ.get("NODE", "curl.curl")


async def main() -> None:
    """Clusters come by wildcard, endpoints by the names of those clusters, on one stream."""
    async with AdsClient(SERVER, NODE) as client, asyncio.TaskGroup() as tasks:
        endpoints = client.subscribe(ENDPOINTS, ())
        tasks.create_task(name_clusters(client.subscribe(CLUSTER), endpoints))
        tasks.create_task(print_addresses(endpoints))


async def name_clusters(clusters: Subscription, endpoints: Subscription) -> None:
    """Ask for the endpoints of every cluster there is."""
    async for update in clusters:
        endpoints.change_names(update.resources)


async def print_addresses(endpoints: Subscription) -> None:
    """Print each assignment that changed."""
    async for update in endpoints:
        for name, resource in sorted(update.changed.items()):
            assignment = ClusterLoadAssignment.FromString(resource.body.value)
            addresses = [
                f"{socket.address}:{socket.port_value}"
                for locality in assignment.endpoints
                for member in locality.lb_endpoints
                for socket in [member.endpoint.address.socket_address]
            ]
            print(f"{name}: {', '.join(addresses) or 'none'}", flush=True)


asyncio.run(main())
