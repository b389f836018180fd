"""Print what each attack costs the server, by `make bench-hostile`; it judges nothing."""

from __future__ import annotations

import argparse
import importlib
import pkgutil

from bench import hostile

BESIDES = ("__main__", "row")


def main() -> None:
    """Run the attacks that are named, or all of them, and print a row for each figure."""
    names = sorted(m.name for m in pkgutil.iter_modules(hostile.__path__) if m.name not in BESIDES)
    parser = argparse.ArgumentParser(description=hostile.__doc__)
    parser.add_argument("attacks", nargs="*", choices=[*names, []], help="modules to run")
    for name in parser.parse_args().attacks or names:
        for row in importlib.import_module(f"bench.hostile.{name}").measure():
            print(f"{row.attack:52}  {row.cost:44}  {row.limit}", flush=True)


main()
