"""Import every module of the named packages: `import_all.py [--without A,B] PACKAGE...`.

With --without, it fails if one of those packages is installed: the imports are to do without them.
With --optional, a module that lacks one of those packages is named, and counts as left out.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence


def import_all(package: str, optional: Sequence[str] = ()) -> list[str]:
    """Names of all modules of a package, each imported; `__main__` is a program and left out, and
    so is what lacks something *optional*.
    """
    root = importlib.import_module(package)
    modules = pkgutil.walk_packages(root.__path__, f"{package}.")
    names = [module.name for module in modules if not module.name.endswith(".__main__")]
    imported = [package]
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in optional:
                raise
            print(f"{name} is left out: {error.name} is not installed")
        else:
            imported.append(name)
    return imported


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--without", default="")
    parser.add_argument("--optional", default="")
    parser.add_argument("packages", nargs="+")
    arguments = parser.parse_args()
    without = [name for name in arguments.without.split(",") if name]
    present = [name for name in without if importlib.util.find_spec(name) is not None]
    if present:
        sys.exit(f"installed, though nothing here asks for it: {', '.join(present)}")
    optional = arguments.optional.split(",")
    for package in arguments.packages:
        print(f"{package}: {len(import_all(package, optional))} modules import")


if __name__ == "__main__":
    main()
