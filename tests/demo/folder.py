"""The pages' steps on a folder of manifests that Towpath serves: no cluster is needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from demo.hands import Answer, called
from demo.steps import Seen, Step, milliseconds_since
from support.dataplane.clients import curl, curl_until
from support.dataplane.envoy import Envoy
from support.dataplane.hosts import Hosts
from support.dataplane.mesh import CURL_ALONE, Document, Manifests
from support.dataplane.network import Network
from support.dataplane.sidecar import sidecar_config
from support.dataplane.towpath import Towpath
from towpath.encode.envoy.bootstrap import Transport


class FolderHands:
    """An editor in place of kubectl; a real Envoy is the client's sidecar."""

    def __init__(self, stack: ExitStack, network: Network, hosts: Hosts, folder: Path) -> None:
        self._stack = stack
        self._hosts = hosts
        self._manifests = Manifests(CURL_ALONE, folder / "manifests")
        self._control = network.control
        self._towpath = Towpath(network.control, self._manifests.folder, folder=folder)
        stack.enter_context(self._towpath)
        self._pod = network.pods["curl"]
        config = sidecar_config("curl.curl", server=self._towpath.ads, transport=Transport.DELTA)
        self._envoy = Envoy(self._pod, config, folder=folder)
        self._started = False

    def patch(self, change: Document) -> Seen:
        moment = self._manifests.patch("MeshConfig", "osm-mesh-config", change)
        done = f"{_spelled(change)}, in the MeshConfig of the folder that Towpath serves"
        return _written(done, moment)

    def client(self) -> Iterator[Step]:
        yield Step("P2 Start the client", "kubectl apply -f curl.yaml", "2/2 Running", self._start)

    def _start(self) -> Seen:
        if not self._started:
            self._stack.enter_context(self._envoy)
            self._started = True
        self._envoy.wait_ready()
        listeners = ", ".join(sorted(self._envoy.admin.listeners()))
        done = f"envoy, as uid 1500 in the pod's network, node id {self._envoy.node_id}"
        return Seen(passed=True, done=done, outcome=f"ready, with {listeners}", milliseconds=0.0)

    def apply(self, *documents: Document) -> Seen:
        moments = [self._manifests.write(_file(document), document) for document in documents]
        kinds = ", ".join(f"{d['kind']} {d['metadata']['name']}" for d in documents)
        return _written(f"{kinds}, written to the folder that Towpath serves", moments[0])

    def delete(self, document: Document) -> Seen:
        moment = self._manifests.remove(_file(document))
        return _written("removed from the folder that Towpath serves", moment)

    def call(self, url: str, *, exits: int = 0, status: int = 0) -> Seen:
        options = ("--head", "--cacert", str(self._hosts.ca))
        context = self._envoy.process.tail
        return called(
            url, curl_until(self._pod, url, *options, exits=exits, status=status, context=context)
        )

    def answered(self, url: str) -> bool:
        return curl(self._pod, url, "--head", "--cacert", str(self._hosts.ca)).status == 200

    def ask(self, *words: str) -> Answer:
        host, port = self._towpath.ads
        done = self._typed(*words, "--server", f"{host}:{port}")
        return Answer(f"towpath {' '.join(words)}", done.returncode, done.stdout)

    def diff(self, *documents: Document) -> Answer:
        """Against a copy of the folder: two folders are compared without a server."""
        with tempfile.TemporaryDirectory(prefix="towpath-demo-") as temporary:
            new = Path(shutil.copytree(self._manifests.folder, Path(temporary) / "new"))
            for document in documents:
                (new / _file(document)).write_text(yaml.safe_dump(document))
            done = self._typed("diff", str(self._manifests.folder), str(new))
        return Answer("towpath diff mesh new", done.returncode, done.stdout)

    def _typed(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._control.run(sys.executable, "-m", "towpath", *words)


def _file(document: Document) -> str:
    return f"{document['kind']}-{document['metadata']['name']}.yaml".lower()


def _written(done: str, moment: float) -> Seen:
    took = milliseconds_since(moment)
    return Seen(passed=True, done=done, outcome="the folder has changed", milliseconds=took)


def _spelled(change: Mapping[str, Any]) -> str:
    """The innermost fields and their values."""
    return ", ".join(
        _spelled(value) if isinstance(value, Mapping) else f"{name}: {str(value).lower()}"
        for name, value in change.items()
    )
