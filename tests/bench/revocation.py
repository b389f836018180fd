"""Measure a TrafficTarget that is taken away: from the change of its file to the first request that
is refused, on one connection that lives on; and the same of one that is applied.

Run it as root, by `make bench-revocation`; it prints figures and judges nothing.
"""

from __future__ import annotations

import statistics
import sys
import time

from bench.rigs import rigs
from support.dataplane import needs
from support.dataplane.hosts import APP_PORT
from support.dataplane.mesh import WITH_A_SERVICE
from support.dataplane.network import POD_ADDRESSES
from support.dataplane.rig import Rig
from support.dataplane.targets import ask, group, switch, target
from support.dataplane.wait import WITHIN_S, NotReachedError

ROUNDS = 20
PAUSE_S = 0.1
"""Between two changes: those close behind one another are held back and taken together."""
SERVER = POD_ADDRESSES["bookstore-0"]
GRANTED, REFUSED = b"HTTP/1.1 200 OK", b"HTTP/1.1 403 Forbidden"


def main() -> int:
    """Print a table, one row for each variant of the protocol and way."""
    if reason := needs.unmet():
        print(f"make bench-revocation {reason}", file=sys.stderr)
        return 2
    print(f"{ROUNDS} times each way; milliseconds from the file's change to the first answer so")
    print(f"{'TrafficTarget':14} {'xDS':6} {'min':>7} {'median':>7} {'max':>7} {'requests':>9}")
    for _, rig in rigs([WITH_A_SERVICE]):
        _measure(rig)
    return 0


def _measure(rig: Rig) -> None:
    """Requests one after the other, straight to the pod from an address that the target grants."""
    switch(rig, permissive=False)
    # The client's sidecar does not stand in the way to a pod's own address.
    rig.switch_egress(on=True)
    documents = target("t", "curl", "all"), group("all", ".*")
    # A file without an object that it had is waited for a moment, as it may be half written.
    without = {"revoked": (target("t", "other", "all"), documents[1]), "deleted": documents[1:]}
    ways: dict[str, list[tuple[float, int]]] = {"applied": [], "revoked": [], "deleted": []}
    with rig.network.pods["curl"].connect(SERVER, APP_PORT) as connection:
        _until(connection, REFUSED, since=time.perf_counter())
        for way in ("revoked", "deleted") * ROUNDS:
            time.sleep(PAUSE_S)
            applied = rig.manifests.apply(*documents)
            ways["applied"].append(_until(connection, GRANTED, since=applied))
            time.sleep(PAUSE_S)
            changed = rig.manifests.apply(*without[way])
            ways[way].append(_until(connection, REFUSED, since=changed))
    for way, taken in ways.items():
        figures = [milliseconds for milliseconds, _ in taken]
        low, middle, high = min(figures), statistics.median(figures), max(figures)
        between = statistics.median(count for _, count in taken)
        name = rig.transport.name
        print(f"{way:14} {name:6} {low:7.1f} {middle:7.1f} {high:7.1f} {between:9.0f}", flush=True)


def _until(connection: object, answer: bytes, *, since: float) -> tuple[float, int]:
    """Milliseconds until a request is answered so, and how many were answered otherwise."""
    count = 0
    while ask(connection) != answer:
        count += 1
        if time.perf_counter() - since > WITHIN_S:
            raise NotReachedError(f"no answer {answer!r} within {WITHIN_S} s")
    return (time.perf_counter() - since) * 1000, count


if __name__ == "__main__":
    sys.exit(main())
