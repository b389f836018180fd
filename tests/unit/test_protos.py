"""The generated code that is committed is the code that the protos give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROTOS = Path(__file__).resolve().parents[2] / "protos"


def generated(root: Path) -> dict[Path, str]:
    return {
        path.relative_to(root): path.read_text()
        for path in root.rglob("*_pb2*.py*")
        if path.suffix in {".py", ".pyi"}
    }


def test_the_committed_code_is_what_the_protos_generate(tmp_path: Path) -> None:
    subprocess.run([sys.executable, PROTOS / "generate.py", tmp_path], check=True)

    assert generated(PROTOS) == generated(tmp_path), "stale: run `make protos`"
