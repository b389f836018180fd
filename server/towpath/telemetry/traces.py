"""Traces of changes: what of a change took how long, from its event to each sidecar's answer.

Nobody traces unless an OpenTelemetry endpoint is set; then `telemetry.otlp` does.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Push:
    """One response to one sidecar that a change led to; `version` is that of its type."""

    changed_at: float
    node: str
    type: str
    version: str


class Traces:
    """Traces nothing; times are those of the monotonic clock, in seconds.

    A change is named by the time of its first event, `changed_at`. Nobody needs to call what is not
    `on`.
    """

    on = False

    def computing(self, changed_at: float, begun: float) -> None:
        """The change is taken, and what it touches is planned and encoded from now on."""

    def computed(self, changed_at: float, ended: float) -> None:
        """Every stream that it concerns has been offered what it should have."""

    def pushed(self, push: Push, *, begun: float, ended: float, size: int) -> bool:
        """A response of *size* bytes was written; true if its answer is of interest too."""
        del push, begun, ended, size
        return False

    def answered(self, push: Push, *, written: float, at: float, fault: str) -> None:
        """The sidecar has accepted it, or rejected it for *fault*."""

    def close(self) -> None:
        """Send what has not been sent."""


NO_TRACES = Traces()
