"""Kubernetes' quantities, such as 100m or 512Mi."""

from __future__ import annotations

import re
from decimal import Decimal

QUANTITY_WORDS = "a quantity such as 100m, 0.5 or 512Mi"

_FORM = re.compile(
    r"(?P<number>[0-9]{1,18}(?:\.[0-9]{0,9})?)"
    r"(?:(?P<unit>[numkMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[+-]?[0-9]{1,2}))?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def quantity(text: str) -> Decimal | None:
    """How much it is; None if it is none, or negative."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    number, unit = Decimal(match["number"]), match["unit"] or ""
    if unit in _BINARY:
        return number * Decimal(1024 ** _BINARY[unit])
    return number.scaleb(int(match["exponent"] or 0) or _DECIMAL.get(unit, 0))
