"""The process: its logs, and its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from towpath.settings.declaration import Group, setting


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessSettings(Group):
    """What the process logs, and how long it takes to stop."""

    title: ClassVar[str] = "Process"

    shutdown_grace: float = setting(
        2.0,
        "How long open streams may take to finish when the server stops.",
        unit="seconds",
        bounds=(0, 3600),
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "Log events of this level, and of more important ones."
    )
    log_format: Literal["text", "json"] = setting("text", "Form of a log line.")
