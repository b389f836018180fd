"""Modes of mutual TLS that are misspelt: a slip must not weaken what was meant."""

from __future__ import annotations

from towpath.model.identity import MODES, MtlsMode
from towpath.model.nearest import nearest


def seems_strict(value: object) -> bool:
    """True for what is most like `strict` of all modes, such as `Strict` or `strcit`, and for what
    is no text and asks for something, such as `true` or `[strict]`.
    """
    if not isinstance(value, str):
        return value not in (None, False, [], {})
    return nearest(value.strip().lower(), MODES) == MtlsMode.STRICT
