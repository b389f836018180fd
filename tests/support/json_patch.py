"""JSON patches (RFC 6902) applied, as far as admission webhooks use them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any


def applied(patch: Iterable[Mapping[str, Any]], value: Any) -> Any:
    """The value with the patch; what was given stays as it is."""
    result = copy.deepcopy(value)
    for operation in patch:
        *parents, last = operation["path"].split("/")[1:]
        target = result
        for step in parents:
            target = target[_key(target, step)]
        key = _key(target, last)
        kind = operation["op"]
        if kind == "add" and isinstance(target, list):
            target.insert(len(target) if key == "-" else key, copy.deepcopy(operation["value"]))
        elif kind in ("add", "replace"):
            assert kind == "add" or key in target or isinstance(target, list)
            target[key] = copy.deepcopy(operation["value"])
        else:
            assert kind == "remove"
            del target[key]
    return result


def _key(target: Any, step: str) -> Any:
    if isinstance(target, list):
        return step if step == "-" else int(step)
    return step.replace("~1", "/").replace("~0", "~")
