"""Print every change of a sidecar's listeners until interrupted."""

from __future__ import annotations

import asyncio
import os

from towpath_client import LISTENER, subscribe

SERVER = os.environ.get("SERVER", "127.0.0.1:15128")
NODE = os.environ.get("NODE", "curl.curl")


async def main() -> None:
    """Asking for the next update acknowledges the one before."""
    async for update in subscribe(SERVER, NODE, LISTENER):
        print(
            f"version {update.version}: changed {sorted(update.changed)},",
            f"removed {sorted(update.removed)}, all {sorted(update.resources)}",
            flush=True,
        )


asyncio.run(main())
