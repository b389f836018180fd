"""The manual's page on egress passthrough, on a real Pipy with osm-edge's scripts."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dataplane.clients import curl_until
from support.dataplane.hosts import Hosts
from support.dataplane.iptables import SIDECAR_UID
from support.dataplane.mesh import CURL_ALONE, Manifests
from support.dataplane.netns import Namespace
from support.dataplane.network import OUTSIDE, Network
from support.dataplane.process import Process
from support.dataplane.towpath import Towpath
from support.pipy.needs import binary, codebase

pytestmark = pytest.mark.pipy

URL = f"http://{OUTSIDE[0]}/"


@pytest.fixture
def manifests(network: Network, hosts: Hosts, tmp_path: Path) -> Iterator[Manifests]:  # noqa: ARG001 (there must be somebody outside)
    """The page's mesh, served; in its one pod, Pipy with its agent."""
    manifests = Manifests(CURL_ALONE, tmp_path / "manifests")
    with Towpath(network.control, manifests.folder, folder=tmp_path) as towpath:
        agent = agent_of(network.control, network.pods["curl"], towpath.ads, folder=tmp_path)
        agent.start()
        try:
            yield manifests
        finally:
            agent.stop()


def agent_of(
    control: Namespace, pod: Namespace, server: tuple[str, int], *, folder: Path
) -> Process:
    """The agent, in the server's namespace; only its Pipy is in the pod, as the sidecar's user."""
    scripts = shutil.copytree(codebase() or "", folder / "scripts")
    # The agent is root here, and its file for its owner only.
    reader = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    user = (f"--reuid={SIDECAR_UID}", f"--regid={SIDECAR_UID}", "--clear-groups", *reader)
    command = (
        *(sys.executable, "-c", "from towpath_client.agent.main import main; main()"),
        *("--server", "{}:{}".format(*server), "--node", "curl.curl"),
        *("--config", str(scripts / "config.json"), "--http-address", "127.0.0.1:15906", "--"),
        *pod.command("setpriv", *user, "--", str(binary()), str(scripts / "main.js")),
    )
    return Process(control, "towpath-agent", command, folder=folder)


def test_the_switch_is_off_on_and_off_again_as_the_manual_has_it(
    network: Network, manifests: Manifests
) -> None:
    client = network.pods["curl"]

    curl_until(client, URL, exits=7)
    manifests.set_egress(on=True)
    assert "outside\n" == curl_until(client, URL, status=200).body
    manifests.set_egress(on=False)
    curl_until(client, URL, exits=7)
