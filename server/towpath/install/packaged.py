"""The manifests that this version of Towpath brings: `deploy/`, also in the wheel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]


def folder() -> Path:
    """Where `deploy/` is: in this package if it is installed, in a checkout at its top."""
    inside = Path(__file__).parents[1] / "deploy"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "deploy"


def documents(part: str) -> list[Document]:
    """The objects of a folder of `deploy/`: what its kustomization lists, in that order."""
    return list(_listed(folder() / part))


def _listed(part: Path) -> Iterator[Document]:
    kustomization = yaml.load((part / "kustomization.yaml").read_text(), Loader=yaml.CSafeLoader)
    left = kustomization.keys() - {"apiVersion", "kind", "resources"}
    assert not left, f"{part}: {sorted(left)} would need kustomize"
    for name in kustomization["resources"]:
        if (part / name).is_dir():
            yield from _listed(part / name)
        else:
            yield from yaml.load_all((part / name).read_text(), Loader=yaml.CSafeLoader)
