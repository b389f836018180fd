"""The manual's page on egress passthrough."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from demo.steps import Seen, Step, milliseconds_since
from support.dataplane.bootstrap import Transport, bootstrap
from support.dataplane.clients import Curl, Outcome, curl, until_outcome
from support.dataplane.envoy import Envoy
from support.dataplane.hosts import Hosts
from support.dataplane.mesh import CURL_ALONE, Manifests
from support.dataplane.network import Network
from support.dataplane.rig import OUTSIDE_HTTP
from support.dataplane.towpath import Towpath

_URL = "https://httpbin.org:443"


class PassthroughPage:
    """The page's five steps, over parts that were started for them."""

    def __init__(self, stack: ExitStack, network: Network, hosts: Hosts, folder: Path) -> None:
        self._stack = stack
        self._hosts = hosts
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
        took = milliseconds_since(started)
        outcome = "the file was replaced"
        return Seen(passed=True, done=_edit(on=True), outcome=outcome, milliseconds=took)

    def start(self) -> Seen:
        started = time.perf_counter()
        self._stack.enter_context(self._envoy)
        self._envoy.wait_ready()
        took = milliseconds_since(started)
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
        took = milliseconds_since(changed)
        outcome = "the file was replaced, and new connections are refused"
        return Seen(passed=True, done=_edit(on=False), outcome=outcome, milliseconds=took)

    def call_again(self) -> Seen:
        seen, done = self._curl()
        outcome = f"exit code {seen.exit_code}: {seen.error}"
        return Seen(seen.exit_code == 7, done, outcome, seen.seconds * 1000)

    def _curl(self) -> tuple[Curl, str]:
        known = ("--cacert", str(self._hosts.ca))
        typed = shlex.join(("curl", "-I", _URL, *known))
        return curl(self._pod, _URL, "--head", *known), f"$ {typed}"


def _patch(*, on: bool) -> str:
    change = f'{{"spec":{{"traffic":{{"enableEgress":{str(on).lower()}}}}}}}'
    return f"kubectl patch meshconfig osm-mesh-config -n osm-system --type=merge -p '{change}'"


def _edit(*, on: bool) -> str:
    return f"enableEgress: {str(on).lower()}, in the MeshConfig of the folder that Towpath serves"
