"""What the machine must have for the data-plane tests."""

from __future__ import annotations

import os
import shutil

PROGRAMS = ("ip", "iptables-restore", "nsenter", "setpriv", "curl")


def unmet() -> str:
    """What is missing here, in words; empty if nothing is."""
    if os.geteuid() != 0:
        return "needs root: network namespaces and iptables rules are made"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"needs {', '.join(missing)} (apt-get install iproute2 iptables curl)" if missing else ""
