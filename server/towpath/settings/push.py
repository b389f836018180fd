"""When a change is sent, and to whom first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from towpath.settings.declaration import HOUR_S, Group, setting


@dataclass(frozen=True, kw_only=True, slots=True)
class DebounceSettings(Group):
    """How changes that follow each other closely are taken together."""

    title: ClassVar[str] = "Debounce"

    settle_quiet: float = setting(
        0.02,
        "After an immediate first push, wait until no change has come for this long.",
        unit="seconds",
        bounds=HOUR_S,
    )
    settle_max: float = setting(
        0.5,
        "Push after this long even if changes keep coming.",
        unit="seconds",
        bounds=HOUR_S,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutSettings(Group):
    """Who receives new content first, and how long rejected content stays away from others."""

    title: ClassVar[str] = "Rollout of new content"

    canaries: int = setting(
        2,
        "How many sidecars, each of a different service account, receive new content first.",
        bounds=(1, 100),
    )
    canary_wait: float = setting(
        1.0,
        "How long the other sidecars wait at most for the first ACK of a canary.",
        unit="seconds",
        bounds=HOUR_S,
    )
    quarantine_expiry: float = setting(
        3600.0,
        "How long rejected content stays quarantined; a change of the content ends it at once.",
        unit="seconds",
        bounds=(1, 3600),  # without any, a client would be sent what it rejects without an end
    )
