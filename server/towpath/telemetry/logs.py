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

log = logging.getLogger(__name__)

OURS = ("towpath", "towpath_client")
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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())


def toggle_debug(level: str) -> None:
    """Log at debug from now on, or, if that is so already, at *level* again."""
    to_debug = logging.getLogger(OURS[0]).level != logging.DEBUG
    new = "debug" if to_debug else level
    # Said at the more talkative of the two, so that it is always to be read.
    log.log(logging.getLogger(OURS[0]).level, "the log level is %s from now on", new)
    for name in OURS:
        logging.getLogger(name).setLevel(new.upper())
