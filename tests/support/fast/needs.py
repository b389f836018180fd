"""What tests on the transport in Rust need: its package, which `make transport` builds."""

from __future__ import annotations

from importlib.util import find_spec

from towpath.app.transport import FAST


def unmet() -> str:
    """Why they cannot run here, "" if they can."""
    return "" if find_spec(FAST) else "towpath-transport is not installed: make transport"
