"""Our own client library in a sidecar's place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack

from support.dataplane.relay import relay
from support.dataplane.rig import Rig
from support.dataplane.towpath import Towpath
from towpath.encode.envoy.bootstrap import Transport
from towpath_client import CLUSTER, ENDPOINTS, LISTENER, ROUTES, AdsClient, Mode, Update

TYPE_URLS = {"cds": CLUSTER, "eds": ENDPOINTS, "lds": LISTENER, "rds": ROUTES}


async def first_updates(
    rig: Rig, names: Mapping[str, Iterable[str]], *, pod: str, server: Towpath | None = None
) -> dict[str, Update]:
    """Subscribe as *pod* in the rig's variant of the protocol, and accept each first update.

    *names* has what to ask for by type (`cds`, …; "*" is everything); *server* is the rig's
    control plane unless it is given.
    """
    towpath = server or rig.towpath
    mode: Mode = "delta" if rig.transport is Transport.DELTA else "sotw"
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(relay(rig.network.control, *towpath.ads))
        node_id = rig.sidecars[pod].node_id
        client = AdsClient(address, node_id, mode=mode, user_agent="envoy")
        await stack.enter_async_context(client)
        updates = {}
        for short, wanted in names.items():
            update = await anext(client.subscribe(TYPE_URLS[short], wanted))
            await update.ack()
            updates[short] = update
        return updates
