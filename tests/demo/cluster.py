"""The pages' steps on a real API server, with the real kubectl, command by command."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import yaml

from demo.hands import called
from demo.steps import Seen, Step, milliseconds_since
from demo.steps import patch as patch_command
from support.dataplane.clients import curl_until
from support.dataplane.mesh import CURL_ALONE, Document
from support.kube.mesh import KubeMesh

_LABEL = "openservicemesh.io/monitored-by=osm"
_CURL = CURL_ALONE / "curl.yaml"


def start_client(mesh: KubeMesh) -> None:
    """P2 as a whole: the client's pod, in a namespace of the mesh, with its sidecar."""
    for step in KubeHands(mesh).client():
        seen = step.act()
        assert seen.passed, f"{seen.done}: {seen.outcome}"


class KubeHands:
    """kubectl; the pod's own commands run in the network namespace that plays the pod."""

    def __init__(self, mesh: KubeMesh) -> None:
        self._mesh = mesh

    def patch(self, change: Document) -> Seen:
        return self._typed(patch_command(change))

    def client(self) -> Iterator[Step]:
        create = "kubectl create namespace curl"
        yield Step("P2 Make a namespace", create, "created", self._create)
        join = f"kubectl label namespace curl {_LABEL} --overwrite"
        typed = "osm namespace add curl"
        yield Step("P2 It joins the mesh", typed, "added", partial(self._typed, join))
        yield Step("P2 Start the client", "kubectl apply -f curl.yaml", "created", self._client)
        yield Step("P2 Wait for it", "kubectl get pod curl -n curl", "2/2 Running", self._running)

    def apply(self, *documents: Document) -> Seen:
        return self._typed("kubectl apply -f -", stdin=yaml.safe_dump_all(documents))

    def delete(self, document: Document) -> Seen:
        name = f"{document['kind'].lower()} {document['metadata']['name']}"
        return self._typed(f"kubectl delete {name} -n curl")

    def call(self, url: str, *, exits: int = 0, status: int = 0) -> Seen:
        options = ("--head", "--cacert", str(self._mesh.hosts.ca))
        seen = curl_until(
            self._mesh.pod, url, *options, exits=exits, status=status, context=self._mesh.context
        )
        return called(url, seen)

    def _create(self) -> Seen:
        seen = self._typed("kubectl create namespace curl")
        if "already exists" in seen.outcome:
            return self._typed("kubectl get namespace curl -o name")
        return seen

    def _client(self) -> Seen:
        """The file, with the container that injection would add; a pod's spec cannot change."""
        gone = ("--ignore-not-found", "--now")
        self._mesh.cluster.kubectl("delete", "pod", "curl", "-n", "curl", *gone)
        documents = list(yaml.safe_load_all(_CURL.read_text()))
        for document in documents:
            if document["kind"] == "Pod":
                sidecar = {"name": "sidecar", "image": "envoyproxy/envoy"}
                document["spec"]["containers"].append(sidecar)
        return self._typed("kubectl apply -f -", stdin=yaml.safe_dump_all(documents))

    def _running(self) -> Seen:
        """The kubelet's part, injection included, is played: then the sidecar is real."""
        started = time.perf_counter()
        self._mesh.start_sidecar()
        seen = self._typed("kubectl get pod curl -n curl")
        return Seen(seen.passed, seen.done, seen.outcome, milliseconds_since(started))

    def _typed(self, command: str, *, stdin: str = "") -> Seen:
        started = time.perf_counter()
        # Quotes stand around what the shell would pass as one argument.
        program, *arguments = command.replace("'", "").split()
        assert program == "kubectl"
        done = self._mesh.cluster.kubectl(*arguments, stdin=stdin)
        took = milliseconds_since(started)
        said = (done.out + done.error).strip().replace("\n", "\n            ")
        return Seen(done.exit_code == 0, f"$ {command}", said, took)
