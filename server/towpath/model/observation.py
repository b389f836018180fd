"""How far a namespace's traffic out of the mesh is looked at and reported."""

from __future__ import annotations

from enum import StrEnum


class EgressObservation(StrEnum):
    """What sidecars do for those who want to know what leaves; each does what stands before it."""

    DISABLED = "disabled"
    """Nothing: they look at first bytes only where a policy asks for it."""
    NAMES = "names"
    """With passthrough on they read the names that clients give on the usual ports."""
    REPORTS = "reports"
    """They also report each connection and request to the control plane."""


OBSERVATIONS = tuple(EgressObservation)
"""Every value, as it is written."""
