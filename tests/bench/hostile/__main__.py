"""Print what each attack costs the server, by `make bench-hostile`; it judges nothing."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil

from bench import hostile
from support.fast.needs import unmet

BESIDES = ("__main__", "row")


def main() -> None:
    """Run the attacks that are named, or all of them, and print a row for each figure."""
    names = sorted(m.name for m in pkgutil.iter_modules(hostile.__path__) if m.name not in BESIDES)
    parser = argparse.ArgumentParser(description=hostile.__doc__)
    parser.add_argument("attacks", nargs="*", choices=[*names, []], help="modules to run")
    parser.add_argument("--transport", choices=["grpc", "fast"], help="one of them (all there are)")
    asked = parser.parse_args()
    if why := unmet():
        print(f"without the transport in Rust: {why}")
    transports = [asked.transport] if asked.transport else ["grpc", *([] if why else ["fast"])]
    for transport in transports:
        os.environ["TOWPATH_TRANSPORT"] = transport
        print(f"--transport {transport}")
        for name in asked.attacks or names:
            for row in importlib.import_module(f"bench.hostile.{name}").measure():
                print(f"{row.attack:52}  {row.cost:44}  {row.limit}", flush=True)


main()
