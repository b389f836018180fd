"""Measure one part, or all of them; it prints figures and judges nothing."""

from __future__ import annotations

import sys

from bench.mtls import connections, rotation

PARTS = {"connections": connections.main, "rotation": rotation.main}


def main(names: list[str]) -> int:
    """Run the parts of these names; 2 if one is not known or cannot be run here."""
    if unknown := [name for name in names if name not in PARTS]:
        print(f"there is no {', '.join(unknown)}: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    return max(PARTS[name]() for name in names or PARTS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
