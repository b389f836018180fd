"""One log line for a failure that lasts, or for a fault, however often it is met."""

from __future__ import annotations

import logging
import traceback

from towpath.model.text import printable, shorten

_LONGEST_WORDS = 200


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


class FaultsOnce:
    """Logs each fault of the code once, with its traceback: what has it may come again and again.

    Faults are told apart by their type and the line that raised them, so that there are few.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._faults: set[tuple[str, str, int | None]] = set()

    def tell(self, error: Exception, text: str) -> None:
        """Log *text* with the traceback of *error*, if it is new."""
        kind = type(error).__name__
        frame = traceback.extract_tb(error.__traceback__)[-1:]
        place = (frame[0].filename, frame[0].lineno) if frame else ("", None)
        if (kind, *place) in self._faults:
            return
        self._faults.add((kind, *place))
        # Its words may quote whatever was read.
        words = shorten(printable(str(error)), _LONGEST_WORDS)
        fault = Fault(f"{kind}: {words}").with_traceback(error.__traceback__)
        self._log.error("%s", text, exc_info=fault, stacklevel=2)


class Fault(Exception):
    """An error that nobody foresaw, in words that can be logged."""
