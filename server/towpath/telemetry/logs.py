"""Logs: one line for each event, as text or as JSON, on standard error."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TextIO

from towpath.model.text import printable


class _JsonFormatter(logging.Formatter):
    """A line is a JSON object: time, level, logger, message, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


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
    logging.getLogger("towpath").setLevel(level.upper())
