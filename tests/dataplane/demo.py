"""Replay the manual's page on egress passthrough on a real Envoy, and say how each step went.

Run it as root, by `make demo`; it exits with 0 if every step went as the page has it.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from support.dataplane import needs
from support.dataplane.bootstrap import Transport, bootstrap
from support.dataplane.clients import Curl, Outcome, curl, until_outcome
from support.dataplane.envoy import Envoy
from support.dataplane.hosts import Hosts
from support.dataplane.mesh import CURL_ALONE, Manifests
from support.dataplane.network import OUTSIDE, open_network
from support.dataplane.rig import OUTSIDE_HTTP
from support.dataplane.towpath import Towpath

_URL = "https://httpbin.org:443"


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a step: whether it went as the page has it, what stood for it, and how long."""

    passed: bool
    done: str
    outcome: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the page: what a reader types, what is to come of it, and how it is done."""

    title: str
    typed: str
    expected: str
    act: Callable[[], Seen]


class Page:
    """The page's five steps, over parts that were started for them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        network = stack.enter_context(open_network())
        self._hosts = stack.enter_context(Hosts(folder))
        self._hosts.serve(network)
        self._manifests = Manifests(CURL_ALONE, folder / "manifests")
        towpath = Towpath(network.control, self._manifests.folder, folder=folder)
        stack.enter_context(towpath)
        self._pod = network.pods["curl"]
        [pod] = self._manifests.all("Pod")
        self._envoy = Envoy(
            self._pod,
            bootstrap(
                f"{pod['metadata']['name']}.{pod['metadata']['namespace']}",
                server=towpath.ads,
                transport=Transport.DELTA,
            ),
            folder=folder,
        )

    def steps(self) -> Iterator[Step]:
        call = f"kubectl exec curl -n curl -c curl -- curl -I {_URL}"
        yield Step("Open the way out", _patch(on=True), "accepted", self.open)
        yield Step("Start the client", "kubectl apply -f curl.yaml", "2/2 Running", self.start)
        yield Step("Call an outside host", call, "200", self.call)
        yield Step("Close the way out", _patch(on=False), "accepted", self.close)
        yield Step("Call it again", call, "exit code 7", self.call_again)

    def open(self) -> Seen:
        started = time.perf_counter()
        self._manifests.set_egress(on=True)
        took = _milliseconds_since(started)
        outcome = "the file was replaced"
        return Seen(passed=True, done=_edit(on=True), outcome=outcome, milliseconds=took)

    def start(self) -> Seen:
        started = time.perf_counter()
        self._stack.enter_context(self._envoy)
        self._envoy.wait_ready()
        took = _milliseconds_since(started)
        listeners = sorted(self._envoy.admin.listeners())
        return Seen(
            passed="outbound-listener" in listeners,
            done=f"envoy, as uid 1500 in the pod's network, node id {self._envoy.node_id}",
            outcome=f"ready, with {', '.join(listeners)}",
            milliseconds=took,
        )

    def call(self) -> Seen:
        seen, done = self._curl()
        first_line = seen.body.partition("\n")[0].strip() or seen.error
        passed = (seen.exit_code, seen.status) == (0, 200)
        return Seen(passed, done, first_line, seen.seconds * 1000)

    def close(self) -> Seen:
        changed = self._manifests.set_egress(on=False)
        asyncio.run(until_outcome(self._pod, OUTSIDE_HTTP, Outcome.REFUSED))
        took = _milliseconds_since(changed)
        outcome = "the file was replaced, and new connections are refused"
        return Seen(passed=True, done=_edit(on=False), outcome=outcome, milliseconds=took)

    def call_again(self) -> Seen:
        seen, done = self._curl()
        outcome = f"exit code {seen.exit_code}: {seen.error}"
        return Seen(seen.exit_code == 7, done, outcome, seen.seconds * 1000)

    def _curl(self) -> tuple[Curl, str]:
        # No name server answers in the pod's network.
        known = ("--resolve", f"httpbin.org:443:{OUTSIDE[0]}", "--cacert", str(self._hosts.ca))
        typed = shlex.join(("curl", "-I", _URL, *known))
        return curl(self._pod, _URL, "--head", *known), f"$ {typed}"


def main() -> int:
    """Print the steps; returns the exit code."""
    if reason := needs.unmet():
        print(f"make demo {reason}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="towpath-demo-") as folder, ExitStack() as stack:
        print("The manual's page on egress passthrough, on a real Envoy\n")
        passed = [_run(number, s) for number, s in enumerate(Page(stack, Path(folder)).steps(), 1)]
    print(f"{sum(passed)} of {len(passed)} steps passed")
    return 0 if all(passed) else 1


def _run(number: int, step: Step) -> bool:
    try:
        seen = step.act()
    except (AssertionError, OSError, RuntimeError) as error:
        seen = Seen(passed=False, done="", outcome=str(error), milliseconds=0.0)
    print(f"{number}. {step.title}")
    print(f"   manual:  $ {step.typed}")
    print(f"            {step.expected}")
    print(f"   here:    {seen.done}")
    print(f"            {seen.outcome}")
    print(f"   {'PASS' if seen.passed else 'FAIL'}  {seen.milliseconds:.1f} ms\n", flush=True)
    return seen.passed


def _patch(*, on: bool) -> str:
    change = f'{{"spec":{{"traffic":{{"enableEgress":{str(on).lower()}}}}}}}'
    return f"kubectl patch meshconfig osm-mesh-config -n osm-system --type=merge -p '{change}'"


def _edit(*, on: bool) -> str:
    return f"enableEgress: {str(on).lower()}, in the MeshConfig of the folder that Towpath serves"


def _milliseconds_since(moment: float) -> float:
    return (time.perf_counter() - moment) * 1000


if __name__ == "__main__":
    sys.exit(main())
