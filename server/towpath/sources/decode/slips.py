"""Slips of the pen: a name that is not known, and the known one that it differs from by one slip.

Kubernetes' own kinds have many fields that Towpath has no use for, and newer versions have more.
So a field is said to be misspelt only if it is all but equal to one that would have been read.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from towpath.model.codes import Code
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.schema import NOT_USED, shortened

_Fields = Mapping[str, type[msgspec.Struct] | None]


def meant(name: str, names: Iterable[str]) -> str | None:
    """Which of the *names* names was meant; None if *name* is one of them, or like none.

    One character too many, too few or wrong, two in the wrong order, the singular for the plural,
    capitals, and `_` or `-` are slips.
    """
    nearest, small = None, _small(shortened(name))
    for one in names:
        if one == name:
            return None
        right = _small(one)
        if _one_slip(small, right) or _one_slip(_singular(small), _singular(right)):
            nearest = nearest or one
    return nearest


def report_slips(
    raw: Mapping[str, object], struct: type[msgspec.Struct], findings: Findings
) -> None:
    """Say of each field of *raw*, at any depth, that is a slip for one that *struct* reads."""
    for path, near in _slips(raw, struct, ""):
        message = f"is not a known field (did you mean {near}?); {NOT_USED}"
        findings.add(Code.UNKNOWN_FIELD, path, message)


def _slips(
    raw: Mapping[str, object], struct: type[msgspec.Struct], path: str
) -> Iterator[tuple[str, str]]:
    fields = _fields(struct)
    for name, value in raw.items():
        if not isinstance(name, str):
            continue
        here = f"{path}.{shortened(name)}" if path else shortened(name)
        if name not in fields:
            if (near := meant(name, fields)) is not None:
                yield here, near
        elif (below := fields[name]) is None:
            continue
        elif isinstance(value, dict):
            yield from _slips(value, below, here)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _slips(item, below, f"{here}[{index}]")


@lru_cache(maxsize=64)
def _fields(struct: type[msgspec.Struct]) -> _Fields:
    """The fields' names in Kubernetes, and the struct in each that holds one or a list of them."""
    return {one.encode_name: _struct_in(one.type) for one in msgspec.structs.fields(struct)}


def _struct_in(kind: object) -> type[msgspec.Struct] | None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    inside = (_struct_in(part) for part in typing.get_args(kind))
    return next((struct for struct in inside if struct is not None), None)


def _small(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return name[:-3] + "y"
    return name.removesuffix("es") if name.endswith("sses") else name.removesuffix("s")


def _one_slip(one: Sequence[str], other: Sequence[str]) -> bool:
    """True if they are equal, or one edit apart, where to swap two neighbours is one."""
    if abs(len(one) - len(other)) > 1:
        return False
    start, ends = 0, (len(one), len(other))
    while start < min(ends) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    return max(len(a), len(b)) <= 1 or (len(a) == len(b) == 2 and a == b[::-1])
