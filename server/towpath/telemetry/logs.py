"""Logs: one line for each event, as text or as JSON, on standard error.

A message is for people and complete in itself; what it names is given again as fields (`extra=`),
which are keys of a JSON line: `node`, `type`, `version`, `peer`, `account`, `policy` and others.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

from towpath.model.text import printable
from towpath.telemetry.recent import RecentLines

log = logging.getLogger(__name__)

LEVELS = ("debug", "info", "warning", "error")
OURS = ("towpath", "towpath_client", "towpath_transport")
"""The loggers that the level is for; of other libraries only warnings are of interest."""

_FIELDS = ("asctime", "levelname", "name", "message")
_KEYS = {"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "error"}


class _JsonFormatter(JsonFormatter):
    """A line is a JSON object of ASCII alone, so that no text in it can move a terminal's cursor:
    time, level, logger, message, the record's fields, and the error if there is one.
    """

    def __init__(self) -> None:
        super().__init__(_FIELDS, rename_fields=_KEYS, json_ensure_ascii=True)

    def add_fields(
        self,
        log_data: dict[str, object],
        record: logging.LogRecord,
        message_dict: dict[str, object],
    ) -> None:
        """As the library does, with the level in lower case as in the settings."""
        super().add_fields(log_data, record, message_dict)
        log_data["level"] = record.levelname.lower()


class _TextFormatter(logging.Formatter):
    """A message is one line, whatever it quotes; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        record.message = printable(record.message)
        return super().formatMessage(record)


def configure(*, level: str, form: str, stream: TextIO = sys.stderr) -> None:
    """Send the process's logs to *stream*; *level* and *form* as in Settings."""
    handler = logging.StreamHandler(stream)
    formatter: logging.Formatter = _JsonFormatter()
    if form == "text":
        formatter = _TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    formatter.converter = time.gmtime
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03dZ"
    handler.setFormatter(formatter)
    recent = RecentLines()
    recent.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler, recent]
    root.setLevel(logging.WARNING)
    _apply(level)


def level() -> str:
    """Events of this level, and of more important ones, are logged now."""
    return logging.getLevelName(logging.getLogger(OURS[0]).level).lower()


def set_level(new: str) -> None:
    """Log events of one of `LEVELS`, and of more important ones, from now on."""
    before = logging.getLogger(OURS[0]).level
    # Said at the more important of the two, so that it is always to be read.
    log.log(max(before, logging.getLevelName(new.upper())), "the log level is %s from now on", new)
    _apply(new)


def toggle_debug(usual: str) -> None:
    """Log at debug from now on, or, if that is so already, at *usual* again."""
    set_level("debug" if level() != "debug" else usual)


def _apply(new: str) -> None:
    for name in OURS:
        logging.getLogger(name).setLevel(new.upper())
