"""The redirect of a pod's traffic through its sidecar, as injected pods have it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.dataplane.netns import Namespace
from towpath.inject import redirect as injected
from towpath.model.injection import RedirectLists


def redirect(pod: Namespace) -> None:
    """Load the rules in *pod*; RuntimeError with iptables' message if it refuses them."""
    rules = injected.redirect(RedirectLists())
    done = pod.run("iptables-restore", "--noflush", stdin=rules)
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
    done = pod.run("iptables-restore", stdin="*nat\nCOMMIT\n*filter\nCOMMIT\n")
    if done.returncode:
        raise RuntimeError(f"iptables-restore in {pod.name}: {done.stderr.strip()}")
