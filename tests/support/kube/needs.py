"""What this machine lacks to run an API server."""

from __future__ import annotations

import shutil

from support.kube.build import CannotBuildError, find_go

_PROGRAMS = {"etcd": "etcd-server", "etcdctl": "etcd-client", "setpriv": "util-linux"}


def unmet() -> str:
    """Why no API server can run here; empty if one can."""
    missing = [package for program, package in _PROGRAMS.items() if not shutil.which(program)]
    if missing:
        return f"needs {', '.join(missing)} (Debian packages)"
    try:
        find_go()
    except CannotBuildError as error:
        return f"needs Go: {error}"
    return ""
