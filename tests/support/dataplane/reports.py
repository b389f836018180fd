"""What sidecars report to the control plane, switched on and read as a person would."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from support.dataplane.rig import Rig


def observe(rig: Rig, value: str) -> None:
    """Have sidecars do that for who observes egress."""
    change = {"spec": {"observability": {"observeEgress": value}}}
    rig.manifests.patch("MeshConfig", "osm-mesh-config", change)


def asked(rig: Rig, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A command, asked of the running server."""
    host, port = rig.towpath.ads
    words = [sys.executable, "-m", "towpath", command, "--server", f"{host}:{port}", *options]
    return rig.network.control.run(*words)


def reported(rig: Rig) -> set[tuple[Any, ...]]:
    """The flows that the server has: account, target, port, protocol, verdict and why."""
    return {
        (
            flow["serviceAccount"],
            flow["host"] or next(iter(flow["addresses"])),
            flow["port"],
            flow["protocol"],
            flow["verdict"],
            ",".join(flow["policies"]) or ("passthrough" if flow["passthrough"] else ""),
        )
        for flow in json.loads(asked(rig, "observe", "-o", "json").stdout)["flows"]
    }
