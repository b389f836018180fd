"""What the transport in Rust is built of: where its crates are from, under which licences they are,
and no `unsafe` of ours. Advisories are looked up by who releases: RELEASING.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

TRANSPORT = Path(__file__).parents[2] / "transport"
OWN = "towpath-transport"
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
TWICE = {"windows-sys"}
"""Crates that may be there in two versions: nothing of it is built for Linux."""
LICENCES = {
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
}
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")

pytestmark = pytest.mark.skipif(not TRANSPORT.is_dir(), reason="there is no folder transport")


def _locked() -> list[dict[str, Any]]:
    packages: list[dict[str, Any]] = tomllib.loads((TRANSPORT / "Cargo.lock").read_text())[
        "package"
    ]
    return packages


def is_allowed(licence: str) -> bool:
    """Whether each part of an expression has an alternative that is allowed."""
    parts = (part.strip("() ") for part in licence.split(" AND "))
    return all(any(one in LICENCES for one in re.split(r" OR | / |/", part)) for part in parts)


def test_every_crate_is_of_the_registry_with_its_checksum() -> None:
    others = {one["name"] for one in _locked() if one.get("source") != REGISTRY}
    unchecked = {one["name"] for one in _locked() if "checksum" not in one}

    assert {OWN} == others
    assert {OWN} == unchecked


def test_no_crate_is_there_in_two_versions() -> None:
    counts = Counter(one["name"] for one in _locked())

    assert TWICE == {name for name, count in counts.items() if count > 1}


def test_no_line_of_ours_is_unsafe() -> None:
    sources = {path: path.read_text() for path in TRANSPORT.glob("src/**/*.rs")}
    unsafe = [str(path) for path, text in sources.items() if re.search(r"\bunsafe\b", text)]

    assert [] == unsafe
    assert "#![forbid(unsafe_code)]" in sources[TRANSPORT / "src" / "lib.rs"].splitlines()


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", True),
        ("Apache-2.0 / MIT", True),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only OR ISC", True),
        ("", False),
    ],
)
def test_a_licence_is_allowed_if_each_of_its_parts_is(licence: str, expected: bool) -> None:  # noqa: FBT001 (a case)
    assert expected == is_allowed(licence)


@pytest.mark.fast
@pytest.mark.parametrize("target", TARGETS)
def test_every_crate_has_a_licence_that_is_allowed(target: str) -> None:
    path = os.pathsep.join((os.environ["PATH"], str(Path.home() / ".cargo" / "bin")))
    cargo = shutil.which("cargo", path=path)
    if cargo is None:
        pytest.skip("there is no cargo")
    manifest = str(TRANSPORT / "Cargo.toml")
    command = (cargo, "metadata", "--format-version=1", "--locked", "--offline")
    result = subprocess.run(
        (*command, f"--manifest-path={manifest}", f"--filter-platform={target}"),
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": path},
    )
    packages = json.loads(result.stdout)["packages"]

    assert len(packages) > 1
    assert {} == {
        one["name"]: one["license"] for one in packages if not is_allowed(one["license"] or "")
    }
