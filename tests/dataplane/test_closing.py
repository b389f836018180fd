"""docs/observe.md, typed: an open mesh is audited, closed, and nothing that was in use breaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dataplane.clients import curl
from support.dataplane.hosts import ECHO_PORT
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import CUT, until_curl
from support.dataplane.reports import observe, reported
from support.dataplane.rig import Rig
from support.pages import Typed, commands
from towpath.encode.envoy.bootstrap import Transport

pytestmark = pytest.mark.dataplane

PAGE = Path(__file__).parents[2] / "docs" / "observe.md"
ELSEWHERE = OUTSIDE[5]
TIMES = 5


@pytest.fixture(scope="module")
def transport() -> Transport:
    """One is enough: what is reported does not go by it."""
    return Transport.DELTA


@pytest.fixture
def folder(outside: Rig, tmp_path: Path) -> Iterator[Path]:
    """Where the reader types: the manifests, the log, and a kubectl that prints it."""
    (tmp_path / "mesh").symlink_to(outside.manifests.folder)
    (tmp_path / "access.log").symlink_to(outside.sidecar.process.out)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, script in (
        ("kubectl", f"cat {outside.sidecar.process.out}"),
        ("towpath", f'exec {sys.executable} -m towpath "$@"'),
    ):
        (bin_ / name).write_text(f"#!/bin/sh\n{script}\n")
        (bin_ / name).chmod(0o755)
    yield tmp_path
    (outside.manifests.folder / "suggested.yaml").unlink(missing_ok=True)


def work(rig: Rig) -> int:
    """What the application does, several times; gives how often it was answered."""
    trusting = ("--cacert", str(rig.hosts.ca))
    answered = 0
    for _ in range(TIMES):
        answered += curl(rig.client, "http://httpbin.org/get").status == 200
        answered += curl(rig.client, "http://httpbin.org/post", "--data", "x").status == 200
        answered += curl(rig.client, "https://openservicemesh.io/", *trusting).status == 200
        with rig.client.connect(ELSEWHERE, ECHO_PORT) as connection:
            connection.sendall(b"hello\n")
            answered += connection.recv(100) == b"hello\n"
    return answered


def type_(rig: Rig, typed: Typed, folder: Path) -> subprocess.CompletedProcess[str]:
    """Type a command where the server can be reached; one that goes on is ended by Ctrl-C."""
    host, port = rig.towpath.ads
    text = typed.command.replace("localhost:15128", f"{host}:{port}")
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    if "--watch" not in text:
        words = rig.network.control.command(
            "bash", "-o", "pipefail", "-c", f"cd {folder} && {text}"
        )
        return subprocess.run(
            words, check=False, capture_output=True, text=True, env=environment, timeout=60
        )
    # Who runs the tests in the background ignores SIGINT, and so would all that they start.
    text = f"cd {folder} && exec env --default-signal=INT {text}"
    words = rig.network.control.command("bash", "-c", text)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        heading = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        return subprocess.CompletedProcess(words, process.wait(60), heading, "")


def test_what_the_page_types_closes_an_open_mesh_and_nothing_in_use_breaks(
    outside: Rig, folder: Path
) -> None:
    observe(outside, "reports")
    outside.manifests.set_egress(on=True)
    until_curl(outside, f"http://{ELSEWHERE}:80/", "--header", "host: httpbin.org", status=200)
    before = work(outside)
    targets = {"httpbin.org", "openservicemesh.io", ELSEWHERE}
    outside.sidecar.until(
        lambda: {flow[1] for flow in reported(outside)},
        lambda hosts: targets <= hosts,
        what="all that is in use is reported",
    )
    types = commands(PAGE)
    for typed in types:
        done = type_(outside, typed, folder)
        assert typed.exit_code == done.returncode, (typed.command, done.stdout, done.stderr)
    assert len(types) > 7

    outside.manifests.set_egress(on=False)
    until_curl(outside, "http://wild.test/", status=404)
    trusting = ("--cacert", str(outside.hosts.ca))
    assert (4 * TIMES, 4 * TIMES) == (before, work(outside))
    assert curl(outside.client, "https://wild.test/", *trusting).exit_code in CUT
    assert 404 == curl(outside.client, "http://httpbin.org/get", "--request", "PUT").status
    observe(outside, "disabled")
