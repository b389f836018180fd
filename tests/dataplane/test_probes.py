"""The kubelet's probes of an injected pod, on a real Envoy: each follows the application.

There is no control plane: what answers them is in the bootstrap.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Certificates
from support.dataplane import probed
from support.dataplane.demo import ADDRESS, node_and_pod
from support.dataplane.envoy import Envoy
from support.dataplane.netns import Namespace
from support.dataplane.wait import until
from towpath.encode.envoy.probe_listeners import probe_resources
from towpath.inject.probes import ProbeRewrite

pytestmark = pytest.mark.dataplane

PORTS = [{"name": "web", "containerPort": probed.HTTP}]
CONTAINERS: list[dict[str, Any]] = [
    {
        "name": "app",
        "ports": PORTS,
        "livenessProbe": {
            "httpGet": {
                "path": "/live?full=1",
                "port": "web",
                "httpHeaders": [{"name": "X-Probe", "value": "yes"}],
            }
        },
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 9443, "scheme": "HTTPS"}},
        "startupProbe": {"tcpSocket": {"port": probed.TCP}},
    },
    {
        "name": "cart",
        "livenessProbe": {"grpc": {"port": probed.GRPC}},
        "readinessProbe": {"grpc": {"port": probed.GRPC, "service": probed.SERVICE}},
        "startupProbe": {"httpGet": {"path": "/moved", "port": probed.HTTP}},
    },
]
KINDS = {
    "http": ("app", "livenessProbe"),
    "https": ("app", "readinessProbe"),
    "tcp": ("app", "startupProbe"),
    "grpc": ("cart", "livenessProbe"),
    "shop": ("cart", "readinessProbe"),
}


@dataclass(frozen=True)
class Probed:
    node: Namespace
    app: subprocess.Popen[str]
    containers: dict[str, dict[str, Any]]
    envoy: Envoy

    def tell(self, line: str) -> None:
        """Change what of the application is healthy."""
        assert self.app.stdin is not None
        assert self.app.stdout is not None
        self.app.stdin.write(f"{line}\n")
        self.app.stdin.flush()
        assert line == self.app.stdout.readline().strip()

    def question(self, container: str, field: str) -> dict[str, Any]:
        question: dict[str, Any] = self.containers[container][field]["httpGet"]
        return question

    def probe(self, container: str, field: str) -> int:
        question = self.question(container, field)
        return self.ask(question["port"], question["path"])[0]

    def ask(self, port: int, path: str, *options: str) -> tuple[int, str]:
        """Status and body."""
        url = f"http://{ADDRESS}:{port}{path}"
        done = self.node.run("curl", "-s", "-m", "5", "-w", "\n%{http_code}", *options, url)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body.strip()

    def until(self, container: str, field: str, status: int) -> None:
        until(
            lambda: self.probe(container, field),
            lambda seen: seen == status,
            what=f"{field} of {container} has status {status}",
            context=self.envoy.process.tail,
        )


@pytest.fixture(scope="module")
def app() -> Iterator[Probed]:
    with ExitStack() as stack:
        node, pod = stack.enter_context(node_and_pod())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="towpath-probes-")))
        folder.chmod(0o755)
        files = Certificates(folder).server()
        command = (sys.executable, probed.__file__, str(files.certificate), str(files.key))
        process = subprocess.Popen(
            pod.command(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        stack.enter_context(process)
        stack.callback(process.terminate)
        rewrite = ProbeRewrite()
        containers = {one["name"]: rewrite.container(one) for one in CONTAINERS}
        config = {
            "node": {"id": "web.shop", "cluster": "sidecar"},
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 15000}}},
            "static_resources": probe_resources(rewrite.probes),
        }
        envoy = stack.enter_context(Envoy(pod, config, folder=folder))
        served = Probed(node, process, containers, envoy)
        for name in KINDS:
            served.tell(f"{name} on")
        envoy.wait_ready()
        yield served


@pytest.mark.parametrize("kind", KINDS)
def test_a_probe_follows_the_application(app: Probed, kind: str) -> None:
    others = [where for name, where in KINDS.items() if name != kind]
    app.until(*KINDS[kind], 200)
    app.tell(f"{kind} off")
    app.until(*KINDS[kind], 500 if kind.startswith("http") else 503)
    for where in others:
        app.until(*where, 200)
    app.tell(f"{kind} on")
    app.until(*KINDS[kind], 200)


def test_the_application_is_asked_what_the_probe_asked(app: Probed) -> None:
    question = app.question("app", "livenessProbe")
    headers = [f"-H{one['name']}: {one['value']}" for one in question["httpHeaders"]]

    answer = app.ask(question["port"], question["path"], *headers)
    assert (200, "GET /live?full=1 yes") == answer
    ready = app.question("app", "readinessProbe")
    assert (200, "GET /ready -") == app.ask(ready["port"], ready["path"])


def test_a_redirect_counts_as_success_and_leads_nowhere(app: Probed) -> None:
    question = app.question("cart", "startupProbe")
    status, headers = app.ask(question["port"], question["path"], "--include")

    assert 302 == status
    assert "location" not in headers.lower()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_else_is_reached_on_the_port_of_a_probe(app: Probed, kind: str) -> None:
    question = app.question(*KINDS[kind])
    port, path = question["port"], question["path"]
    app.until(*KINDS[kind], 200)
    for other in (
        f"{path}/admin",
        f"{path}x",
        f"{path}?a=b",
        f"{path}/",
        f"/x/..{path}",
        path.upper(),
        "/",
        "/live",
    ):
        assert 404 == app.ask(port, other, "--path-as-is")[0], other
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        options = ("--head",) if method == "HEAD" else ("-X", method)
        assert 404 == app.ask(port, path, *options)[0], method
