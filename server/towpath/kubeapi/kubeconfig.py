"""A kubeconfig as people name it: one file, or several."""

from __future__ import annotations

import os
from pathlib import Path


def kubeconfig_files(kubeconfig: Path) -> list[Path]:
    """The files that it stands for and that exist."""
    if kubeconfig.is_file():
        return [kubeconfig]
    names = (name for name in str(kubeconfig).split(os.pathsep) if name)
    return [path for name in names if (path := Path(name).expanduser()).is_file()]
