"""The commands `towpath` and `osm`, and `python -m towpath`: what is asked before any of it runs.

An installation without the extra `server` is the client library alone; and a command of the name
`osm` may be another's.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

OPT_IN = "TOWPATH_OSM_COMMAND"
_OURS = b"from towpath."
_LOOKED_AT = 4096
"""Bytes: a script that an installer makes of an entry point is shorter."""


def main() -> None:
    """`towpath`."""
    try:
        from towpath.cli import main as command
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "towpath":
            raise
        sys.exit(
            f"{Path(sys.argv[0]).name}: {error.name} is not installed: this is the client library "
            "alone; the control plane and its commands are the extra `server` (towpath[server])"
        )
    command()


def plugin() -> None:
    """`kubectl-towpath`, which kubectl runs as `kubectl towpath`."""
    sys.argv[0] = "kubectl towpath"
    main()


def osm() -> None:
    """`osm`: the same, unless another `osm` is on PATH and nobody has said that ours is meant."""
    others = other_osm(os.environ.get("PATH", "").split(os.pathsep))
    if others and not os.environ.get(OPT_IN):
        typed = shlex.join(["towpath", *sys.argv[1:]])
        sys.exit(
            f"osm: this is Towpath's, and {others[0]} is another's: nothing was done.\n"
            f"Of Towpath it is `{typed}`; to use the name osm for it: export {OPT_IN}=1"
        )
    main()


def other_osm(folders: Iterable[str]) -> list[Path]:
    """Programs of the name `osm` in these folders that are not Towpath's."""
    programs = (Path(folder or ".") / "osm" for folder in folders)
    return [path for path in programs if os.access(path, os.X_OK) and not _is_ours(path)]


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT)
    except OSError:
        return False
    return start.startswith(b"#!") and _OURS in start


if __name__ == "__main__":
    main()
