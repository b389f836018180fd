"""The pages' steps on a real API server, with the real kubectl, command by command."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from demo.hands import Answer, called
from demo.steps import Seen, Step, milliseconds_since
from demo.steps import patch as patch_command
from support.dataplane.clients import curl, curl_until
from support.dataplane.hosts import Hosts
from support.dataplane.mesh import CURL_ALONE, Document
from support.kube.command import towpath
from support.kube.injecting import Injecting
from support.kube.kubelet import Kubelet

_CURL = CURL_ALONE / "curl.yaml"


class KubeHands:
    """kubectl and `towpath`; the pod is injected by the API server, and run as it was stored. Its
    own commands are typed in its network namespace.
    """

    def __init__(self, injecting: Injecting, kubelet: Kubelet, hosts: Hosts) -> None:
        self._cluster = injecting.cluster
        self._server = injecting.server
        self._pod = injecting.network.pods["curl"]
        self._kubelet = kubelet
        self._hosts = hosts

    def patch(self, change: Document) -> Seen:
        return self._typed(patch_command(change))

    def client(self) -> Iterator[Step]:
        create = "kubectl create namespace curl"
        yield Step("P2 Make a namespace", create, "created", self._create)
        yield Step("P2 It joins the mesh", "osm namespace add curl", "added", self._join)
        yield Step("P2 Start the client", "kubectl apply -f curl.yaml", "created", self._client)
        yield Step("P2 Wait for it", "kubectl get pod curl -n curl", "2/2 Running", self._running)

    def apply(self, *documents: Document) -> Seen:
        return self._typed("kubectl apply -f -", stdin=yaml.safe_dump_all(documents))

    def delete(self, document: Document) -> Seen:
        name = f"{document['kind'].lower()} {document['metadata']['name']}"
        return self._typed(f"kubectl delete {name} -n curl")

    def call(self, url: str, *, exits: int = 0, status: int = 0) -> Seen:
        options = ("--head", "--cacert", str(self._hosts.ca))
        seen = curl_until(
            self._pod, url, *options, exits=exits, status=status, context=self._context
        )
        return called(url, seen)

    def answered(self, url: str) -> bool:
        return curl(self._pod, url, "--head", "--cacert", str(self._hosts.ca)).status == 200

    def ask(self, *words: str) -> Answer:
        """In the control plane's pod, as by `kubectl exec`: no kubelet here forwards ports."""
        done = self._server.run(*words)
        typed = f"kubectl exec -n osm-system deploy/towpath -- towpath {' '.join(words)}"
        return Answer(typed, done.returncode, done.stdout)

    def diff(self, *documents: Document) -> Answer:
        with tempfile.TemporaryDirectory(prefix="towpath-demo-") as mesh:
            (Path(mesh) / "policy.yaml").write_text(yaml.safe_dump_all(documents))
            done = towpath(self._cluster, "diff", "cluster:", mesh)
        return Answer("towpath diff cluster: mesh", done.exit_code, done.out)

    def _create(self) -> Seen:
        seen = self._typed("kubectl create namespace curl")
        if "already exists" in seen.outcome:
            return self._typed("kubectl get namespace curl -o name")
        return seen

    def _join(self) -> Seen:
        started = time.perf_counter()
        done = towpath(self._cluster, "namespace", "add", "curl")
        took = milliseconds_since(started)
        return Seen(done.exit_code == 0, "$ towpath namespace add curl", done.out.strip(), took)

    def _client(self) -> Seen:
        """Anew each time: a pod's spec cannot change."""
        self._kubelet.stop()
        gone = ("--ignore-not-found", "--now")
        self._cluster.kubectl("delete", "pod", "curl", "-n", "curl", *gone)
        return self._typed("kubectl apply -f -", stdin=_CURL.read_text())

    def _running(self) -> Seen:
        """The kubelet's part is played: it runs what the API server has stored."""
        started = time.perf_counter()
        self._kubelet.run("curl", "curl")
        seen = self._typed("kubectl get pod curl -n curl")
        passed = seen.passed and re.search(r"\bcurl +2/2 +Running\b", seen.outcome) is not None
        return Seen(passed, seen.done, seen.outcome, milliseconds_since(started))

    def _context(self) -> str:
        """What to say with a failure."""
        return f"{self._server.process.tail()}\n{self._kubelet.sidecar.tail()}"

    def _typed(self, command: str, *, stdin: str = "") -> Seen:
        started = time.perf_counter()
        # Quotes stand around what the shell would pass as one argument.
        program, *arguments = command.replace("'", "").split()
        assert program == "kubectl"
        done = self._cluster.kubectl(*arguments, stdin=stdin)
        took = milliseconds_since(started)
        said = (done.out + done.error).strip().replace("\n", "\n            ")
        return Seen(done.exit_code == 0, f"$ {command}", said, took)
