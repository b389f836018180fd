"""The lines that were logged last, kept in memory for who looks for a fault."""

from __future__ import annotations

import logging
from collections import deque

from towpath.model.text import shorten
from towpath.telemetry.redaction import redacted

LINES = 1_000
"""How many are kept."""
LONGEST = 2_000
"""Characters of each."""


class RecentLines(logging.Handler):
    """Keeps what it is given; what looks like a credential is not kept."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line of that record."""
        try:
            self._lines.append(redacted(shorten(self.format(record), LONGEST)))
        except Exception:  # noqa: BLE001 (as each handler of the library: a log line stops nobody)
            self.handleError(record)

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines)


def recent_lines() -> tuple[str, ...]:
    """Those of this process, the oldest first; none if its logs go elsewhere."""
    handlers = (one for one in logging.getLogger().handlers if isinstance(one, RecentLines))
    return next((handler.lines for handler in handlers), ())
