"""Resources of a whole pod (`spec.resources`): what they must be beside those of the sidecar.

An API server takes no pod whose containers request more together than the pod does: their sum, and
each init container with the sidecars before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from towpath.inject.refusal import Refused
from towpath.sources.decode.findings import show
from towpath.sources.decode.quantity import QUANTITY_WORDS, quantity

Part = Mapping[str, Any]
_Change = Callable[[str, str, Decimal], Decimal]
"""From `requests` or `limits`, a resource and its amount to the new amount."""

_KINDS = ("requests", "limits")
_NONE = Decimal(0)
_BINARY = {"Gi": 1 << 30, "Mi": 1 << 20, "Ki": 1 << 10}


def with_parts(spec: Part, parts: Iterable[Part]) -> dict[str, Any]:
    """The field `resources` of a pod that gets these init containers before its own; nothing for a
    pod without. Raises Refused for what is no quantity.
    """
    sidecars, others = _apart(parts)

    def more(kind: str, name: str, amount: Decimal) -> Decimal:
        beside = amount + sum(_amounts(sidecars, kind, name))
        return max((beside, *_amounts(others, kind, name)))

    return _changed(spec, more)


def without_parts(spec: Part, parts: Iterable[Part]) -> dict[str, Any]:
    """The same for a pod that has them and is to lose them."""
    sidecars, _ = _apart(parts)

    def less(kind: str, name: str, amount: Decimal) -> Decimal:
        return max(amount - sum(_amounts(sidecars, kind, name)), _NONE)

    return _changed(spec, less)


def _apart(parts: Iterable[Part]) -> tuple[list[Part], list[Part]]:
    """The init containers that run as long as the pod, and the others."""
    sidecars: list[Part] = []
    others: list[Part] = []
    for one in parts:
        (sidecars if one.get("restartPolicy") == "Always" else others).append(one)
    return sidecars, others


def _changed(spec: Part, change: _Change) -> dict[str, Any]:
    """What changes of the pod; only what it has an amount of itself does."""
    given = spec.get("resources")
    if not given:
        return {}
    resources = dict(given)
    for kind in _KINDS:
        if given.get(kind):
            resources[kind] = {
                name: _new(kind, name, value, change) for name, value in given[kind].items()
            }
    return {"resources": resources}


def _new(kind: str, name: str, value: object, change: _Change) -> object:
    """The new amount; as it is written if it is the same."""
    amount = quantity(str(value))
    if amount is None:
        field = f"spec.resources.{kind}.{name}"
        raise Refused(f"{field} is {show(value)}: allowed: {QUANTITY_WORDS}")
    changed = change(kind, name, amount)
    return value if changed == amount else _text(name, changed)


def _amounts(parts: Iterable[Part], kind: str, name: str) -> list[Decimal]:
    sections = ((one.get("resources") or {}).get(kind) or {} for one in parts)
    return [quantity(str(section.get(name, 0))) or _NONE for section in sections]


def _text(name: str, amount: Decimal) -> str:
    """An amount as Kubernetes would write it: in whole numbers of the largest unit."""
    whole = amount == amount.to_integral_value()
    if whole and name != "cpu":
        for unit, size in _BINARY.items():
            if amount % size == 0:
                return f"{int(amount) // size}{unit}"
    if whole:
        return str(int(amount))
    unit, places = ("m", 3) if amount.scaleb(3) % 1 == 0 else ("n", 9)
    return f"{int(amount.scaleb(places).to_integral_value(ROUND_CEILING))}{unit}"
