"""Compile the protos into typed Python: `generate.py [OUT]`, in place if no folder is named.

Each file's path below `protos/` is its import path, so the generated code imports
`towpath_api.v1.…` as it stands and needs no rewriting.
"""

from __future__ import annotations

import importlib.resources
import os
import sys
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent


def generate(out: Path) -> None:
    """Write the messages, the services and their type stubs for every proto below *out*."""
    # protoc looks for the two mypy plugins on PATH; they are installed beside this interpreter.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    protos = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    status = protoc.main(
        [
            "protoc",
            f"-I{ROOT}",
            f"-I{well_known}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet:{out}",
            *protos,
        ]
    )
    if status:
        sys.exit(f"protoc ended with status {status}")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
