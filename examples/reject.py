"""Reject the first listeners, with a reason, and take the next ones."""

from __future__ import annotations

import asyncio
import os

from towpath_client import LISTENER, subscribe

SERVER = os.environ.get("SERVER", "127.0.0.1:15128")
NODE = os.environ.get("NODE", "curl.curl")


async def main() -> None:
    """The server keeps rejected bytes from this client, and says so in `towpath problems`."""
    rejected = False
    async for update in subscribe(SERVER, NODE, LISTENER):
        if not rejected and update.changed:
            rejected = True
            print(f"rejecting {sorted(update.changed)}; ask `towpath problems --server {SERVER}`")
            await update.nack("this program rejects its first update")
        else:
            print(f"taking version {update.version}: {sorted(update.changed)}", flush=True)


asyncio.run(main())
