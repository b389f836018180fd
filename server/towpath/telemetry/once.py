"""One log line for a failure that lasts, however often it is met."""

from __future__ import annotations

import logging


class LogOnce:
    """Logs a failure when it is new: not what was logged last, or met again after it was over."""

    def __init__(self, log: logging.Logger, level: int = logging.WARNING) -> None:
        self._log = log
        self._level = level
        self._last = ""

    def tell(self, text: str) -> bool:
        """Log *text* if it is new; true if it is."""
        if text == self._last:
            return False
        self._last = text
        self._log.log(self._level, "%s", text, stacklevel=2)
        return True

    def over(self) -> bool:
        """The failure is over; true if one was logged since the last time."""
        ended, self._last = bool(self._last), ""
        return ended
