"""The pod of `deploy/demo/pipy`, as it is, becomes ready."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import stand_in_pipy
from support.certificates import Certificates
from support.dataplane.demo import NAMES, DemoPod, empty, node_and_pod, program
from support.dataplane.process import Process
from support.dataplane.towpath import Towpath
from support.dataplane.wait import until
from support.deploy import DEPLOY, pod_specs
from support.pipy import needs
from towpath_client import TlsFiles

AGENT = (sys.executable, "-c", "from towpath_client.agent.main import main; main()")


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the sidecar's user can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def served(
    stack: ExitStack,
    folder: Path,
    documents: list[Any],
    manifests: Path,
    programs: dict[str, tuple[str, ...]],
) -> DemoPod:
    """The one pod among *documents*, and the control plane that its sidecar expects."""
    (spec,) = pod_specs(documents)
    node, pod = stack.enter_context(node_and_pod())
    secrets = empty(folder / "certificates")
    certificates = Certificates(secrets)
    stack.enter_context(
        Towpath(node, manifests, folder=folder, tls=certificates.issue("server", dns=NAMES))
    )
    mount(certificates.sidecar("curl", "curl"), empty(folder / "tls"))
    return DemoPod(spec, node, pod, folder, programs)


def mount(files: TlsFiles, secret: Path) -> None:
    """A Secret as the kubelet mounts it."""
    for source, name in (
        (files.ca, "ca.crt"),
        (files.certificate, "tls.crt"),
        (files.key, "tls.key"),
    ):
        shutil.copy(source, secret / name)
        (secret / name).chmod(0o644)


def start(stack: ExitStack, pod: DemoPod, name: str) -> Process:
    process = pod.start(name)
    stack.callback(process.stop)
    return process


@pytest.mark.parametrize(
    "pipy",
    [
        pytest.param("a stand-in", marks=pytest.mark.dataplane),
        pytest.param("real", marks=pytest.mark.pipy),
    ],
)
def test_the_pipy_pod_becomes_ready(stack: ExitStack, folder: Path, pipy: str) -> None:
    source = DEPLOY / "demo" / "pipy"
    documents = [
        document
        for path in sorted(source.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    pod = served(stack, folder, documents, source, {"towpath-agent": AGENT})
    (rules,) = (one["data"] for one in documents if one["kind"] == "ConfigMap")
    (empty(folder / "redirect") / "redirect.rules").write_text(rules["redirect.rules"])
    shared = empty(folder / "pipy")
    if pipy == "real":
        # What the init container `scripts` copies out of its image.
        shutil.copytree(needs.codebase() or "", shared, dirs_exist_ok=True)
        (shared / "config.json").unlink()
        program(folder, "pipy", str(needs.binary()))
    else:
        program(folder, "pipy", sys.executable, "-S", "-E", stand_in_pipy.__file__, str(shared))

    pod.initialise("redirect")
    start(stack, pod, "pipy")
    agent = start(stack, pod, "agent")
    ready = pod.probe("agent", "readinessProbe")
    until(ready, bool, what="the agent is ready", within_s=40, context=agent.tail)
    agent.check_alive()
    assert (shared / "config.json").samefile(shared / "config.json.good")
