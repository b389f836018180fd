"""`python -m support.xds [XDS ADAPTER]`: serve what the public harness calls, until interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from support.xds.labels import labelled_towpath

GRACE_S = 0.3
XDS, ADAPTER = "127.0.0.1:18000", "127.0.0.1:17000"


async def main(xds: str = XDS, adapter: str = ADAPTER) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory() as folder:
        async with labelled_towpath(Path(folder), xds=xds, adapter_at=adapter, grace=GRACE_S):
            print(f"xDS on {xds}, its adapter on {adapter}; a node is <pod>.<namespace>.")
            print(
                "The harness: -T :18000 -A :17000 -N test.id; this suite: XDS_SERVER, XDS_ADAPTER"
            )
            sys.stdout.flush()
            await stop.wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
