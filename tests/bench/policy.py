"""Measure a new policy: from its file's rename to the first request that it allows.

Run it as root, by `make bench-policy`; it prints figures and judges nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from bench.rigs import rigs
from support.dataplane import needs, wait
from support.dataplane.mesh import WITH_POLICIES, Document
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import egress
from support.dataplane.rig import Rig
from support.dataplane.sink import arrival
from towpath.model.names import Protocol
from towpath.planning.egress.decide import Attempt

ROUNDS = 20
PAUSE_S = 0.1
"""Between two rounds: changes close behind one another are held back and taken together."""
PORT = 7001
HOST = "a.fuzz.test"
POLICIES: dict[str, tuple[Document, Protocol]] = {
    "http, by name": (egress("p", (PORT, "http"), hosts=[HOST]), Protocol.HTTP),
    "https, by name": (egress("p", (PORT, "https"), hosts=[HOST]), Protocol.HTTPS),
    "http, wildcard": (egress("p", (PORT, "http"), hosts=["*.fuzz.test"]), Protocol.HTTP),
    "tcp": (egress("p", (PORT, "tcp")), Protocol.TCP),
}


def main() -> int:
    """Print a table, one row for each kind of policy."""
    if reason := needs.unmet():
        print(f"make bench-policy {reason}", file=sys.stderr)
        return 2
    print(f"{ROUNDS} new policies each; milliseconds from the file's rename to the first answer")
    print(f"{'policy':16} {'xDS':6} {'min':>7} {'median':>7} {'max':>7}")
    for _, rig in rigs([WITH_POLICIES]):
        for name, (policy, protocol) in POLICIES.items():
            taken = [_round(rig, policy, protocol) for _ in range(ROUNDS)]
            low, middle, high = min(taken), statistics.median(taken), max(taken)
            print(f"{name:16} {rig.transport.name:6} {low:7.1f} {middle:7.1f} {high:7.1f}")
    return 0


def _round(rig: Rig, policy: Document, protocol: Protocol) -> float:
    """Milliseconds of one policy, which is taken away again."""
    attempt = Attempt(OUTSIDE[4], PORT, protocol, host=HOST)
    time.sleep(PAUSE_S)
    applied = rig.manifests.apply(policy)

    async def answered() -> float:
        async with asyncio.timeout(wait.WITHIN_S):
            while not await arrival(rig.client, attempt):
                await asyncio.sleep(0.001)
        return (time.perf_counter() - applied) * 1000

    taken = asyncio.run(answered())
    rig.manifests.withdraw()
    listeners = rig.sidecar.admin.listeners
    rig.sidecar.until(
        lambda: "outbound-listener" in listeners(), wait.equals(expected=False), what="it is gone"
    )
    return taken


if __name__ == "__main__":
    sys.exit(main())
