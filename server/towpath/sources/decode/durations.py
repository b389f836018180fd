"""Durations, as Go and Kubernetes write them: `1h30m`, `250ms`."""

from __future__ import annotations

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s|us|ns)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def seconds(value: object) -> float | None:
    """How long that is; None if it is no duration."""
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
