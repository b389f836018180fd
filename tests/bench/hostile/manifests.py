"""Manifests that might cost more than their size: what reading them takes, for two sizes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from bench.hostile.row import Row
from towpath.sources.files.manifest import read_manifest

SIZE = 200_000
"""Bytes of the smaller file."""


def measure() -> list[Row]:
    attacks: list[tuple[str, Callable[[int], bytes], str]] = [
        ("JSON documents, one after another", _documents, "each character is looked at once"),
        ("unknown fields in one policy", _unknown_fields, "100 Problems, and names, of one object"),
        (
            "expressions that compile to a great many steps",
            _expressions,
            "steps of all of an object",
        ),
    ]
    return [Row(name, _cost(text), limit) for name, text, limit in attacks]


def _cost(text: Callable[[int], bytes]) -> str:
    small, large = _seconds(text(SIZE)), _seconds(text(10 * SIZE))
    return f"{large:.2f} s for 2 MB, {large / small:.0f} times that for a tenth"


def _seconds(data: bytes) -> float:
    start = time.process_time()
    read_manifest("x.json", data)
    return time.process_time() - start


def _documents(size: int) -> bytes:
    one = b'{"a":"\\u00e9"}\n'
    return one * (size // len(one))


def _unknown_fields(size: int) -> bytes:
    fields = {f"hosts{number}": 1 for number in range(size // 14)}
    return _object("Egress", "policy.openservicemesh.io/v1alpha1", fields)


def _expressions(size: int) -> bytes:
    match = {"name": "m", "pathRegex": "(\\pL{0,30}){0,33}"}
    matches = [match] * (size // 50)
    return _object("HTTPRouteGroup", "specs.smi-spec.io/v1alpha4", {"matches": matches})


def _object(kind: str, version: str, spec: dict[str, Any]) -> bytes:
    head = {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "y"}}
    return json.dumps({**head, "spec": spec}).encode()
