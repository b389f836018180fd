"""A pod of `deploy/demo`, run as its manifest says, and asked as the kubelet would ask it."""

from __future__ import annotations

import http.client
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.dataplane.netns import RESOLVERS, Namespace, unique_name
from support.dataplane.network import ROUTER
from support.dataplane.process import Process
from towpath.inject.redirect import SIDECAR_UID

ADDRESS = "10.10.0.2"
NAMES = ("towpath.osm-system.svc", "towpath.osm-system.svc.cluster.local")
_AS_SIDECAR = (
    *("setpriv", f"--reuid={SIDECAR_UID}", f"--regid={SIDECAR_UID}", "--clear-groups"),
    # What it runs may lie where only root can read.
    *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
)

Programs = Mapping[str, tuple[str, ...]]


@contextmanager
def node_and_pod() -> Iterator[tuple[Namespace, Namespace]]:
    """A node, where kubelet and control plane are, and a pod on it without any redirect."""
    with ExitStack() as stack:
        node, pod = (Namespace(unique_name(role)) for role in ("node", "demo"))
        stack.callback(node.delete)
        stack.callback(pod.delete)
        node.ip("link", "add", "pod", "type", "veth", "peer", "name", "eth0", "netns", pod.name)
        node.ip("address", "add", f"{ROUTER}/24", "dev", "pod")
        node.ip("link", "set", "pod", "up")
        pod.ip("address", "add", f"{ADDRESS}/24", "dev", "eth0")
        pod.ip("link", "set", "eth0", "up")
        pod.ip("route", "add", "default", "via", ROUTER)
        pod.resolve_by(ROUTER)
        (RESOLVERS / pod.name / "hosts").write_text(f"{ROUTER} {' '.join(NAMES)}\n")
        yield node, pod


@dataclass
class DemoPod:
    """Runs containers of *spec*: images' programs are those of *programs*, by name, and each
    volume is a folder of that name in *folder*.
    """

    spec: dict[str, Any]
    node: Namespace
    pod: Namespace
    folder: Path
    programs: Programs

    def container(self, name: str) -> dict[str, Any]:
        every = (*self.spec["initContainers"], *self.spec["containers"])
        (match,) = (one for one in every if one["name"] == name)
        return dict(match)

    def initialise(self, name: str) -> None:
        """Run an init container, as root, to its end."""
        done = self.pod.run(*self._argv(self.container(name)))
        assert done.returncode == 0, done.stderr

    def start(self, name: str) -> Process:
        """Start a container as the sidecar's user."""
        path = f"{self.folder / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
        values = {"POD_NAME": "curl", "POD_NAMESPACE": "curl", "PATH": path}
        command = (*_AS_SIDECAR, *self._argv(self.container(name)))
        process = Process(self.pod, name, command, folder=self.folder, environment=values)
        process.start()
        return process

    def probe(self, container: str, kind: str) -> Callable[[], bool]:
        """The kubelet's question, from the node; OSError if nobody answers."""
        spec = self.container(container)
        question = spec[kind].get("httpGet") or spec[kind]["tcpSocket"]
        ports = {port["name"]: port["containerPort"] for port in spec["ports"]}
        port = ports[question["port"]]

        def ask() -> bool:
            with self.node.connect(ADDRESS, port, within_s=1.0) as connected:
                if "path" not in question:
                    return True
                connected.sendall(f"GET {question['path']} HTTP/1.1\r\nHost: pod\r\n\r\n".encode())
                response = http.client.HTTPResponse(connected)
                try:
                    response.begin()
                except http.client.HTTPException as error:
                    raise OSError(str(error)) from error
                return 200 <= response.status < 400

        return ask

    def _argv(self, container: dict[str, Any]) -> tuple[str, ...]:
        argv = (*container.get("command", ["envoy"]), *container.get("args", []))
        mapped = [self._here(container, argument) for argument in argv]
        return (*self.programs.get(mapped[0], (mapped[0],)), *mapped[1:])

    def _here(self, container: dict[str, Any], text: str) -> str:
        """With folders in place of what is mounted, and variables as the kubelet expands them."""
        for mount in container["volumeMounts"]:
            begins = rf"(?<![\w./-]){re.escape(mount['mountPath'])}(?![\w.-])"
            text = re.sub(begins, str(self.folder / mount["name"]), text)
        return text.replace("$(POD_NAME)", "curl").replace("$(POD_NAMESPACE)", "curl")


def program(folder: Path, name: str, *command: str) -> None:
    """Put *command* on the pod's PATH as *name*; it is given the arguments behind its own."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    quoted = " ".join(f"'{part}'" for part in command)
    path.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    path.chmod(0o755)


def empty(folder: Path) -> Path:
    """A folder that the sidecar's user may write."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    return folder
