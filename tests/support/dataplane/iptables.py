"""The redirect of a pod's traffic through its sidecar; the rules are those of the example."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.dataplane.netns import Namespace

RULES = Path(__file__).parents[3] / "deploy" / "demo" / "sidecar" / "redirect.rules"
SIDECAR_UID = 1500


def redirect(pod: Namespace) -> None:
    """Load the rules in *pod*; RuntimeError with iptables' message if it refuses them."""
    done = pod.run("iptables-restore", "--noflush", stdin=RULES.read_text())
    if done.returncode:
        raise RuntimeError(f"iptables-restore in {pod.name}: {done.stderr.strip()}")


@contextmanager
def without_redirect(pod: Namespace) -> Iterator[None]:
    """Nothing is redirected in *pod* but what is loaded inside; at the end it is as before."""
    flush(pod)
    try:
        yield
    finally:
        flush(pod)
        redirect(pod)


def flush(pod: Namespace) -> None:
    """Remove every rule."""
    done = pod.run("iptables-restore", stdin="*nat\nCOMMIT\n")
    if done.returncode:
        raise RuntimeError(f"iptables-restore in {pod.name}: {done.stderr.strip()}")
