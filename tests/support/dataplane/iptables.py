"""The redirect of a pod's traffic through its sidecar, as injected pods have it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.dataplane.netns import Namespace
from towpath.inject import redirect as injected
from towpath.model.injection import RedirectLists


def redirect(pod: Namespace) -> None:
    """Load the rules in *pod*; RuntimeError with iptables' message if it refuses them."""
    load(pod, injected.redirect(RedirectLists()))


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
    _restore(pod, "*nat\nCOMMIT\n*filter\nCOMMIT\n")


def load(pod: Namespace, rules: str) -> None:
    """Add these rules to those that are there, as the init container does; RuntimeError with
    iptables' message if it refuses them.
    """
    _restore(pod, rules, "--noflush", "--wait=10")


def _restore(pod: Namespace, rules: str, *options: str) -> None:
    done = pod.run("iptables-restore", *options, stdin=rules)
    if done.returncode:
        raise RuntimeError(f"iptables-restore in {pod.name}: {done.stderr.strip()}")
