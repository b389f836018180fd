"""The redirect of a pod's traffic through its sidecar; the rules are those of the example."""

from __future__ import annotations

from pathlib import Path

from support.dataplane.netns import Namespace

RULES = Path(__file__).parents[3] / "deploy" / "demo" / "sidecar" / "redirect.rules"
SIDECAR_UID = 1500


def redirect(pod: Namespace) -> None:
    """Load the rules in *pod*; RuntimeError with iptables' message if it refuses them."""
    done = pod.run("iptables-restore", "--noflush", stdin=RULES.read_text())
    if done.returncode:
        raise RuntimeError(f"iptables-restore in {pod.name}: {done.stderr.strip()}")
