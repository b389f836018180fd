"""What libraries write to standard error by themselves becomes records of the log.

gRPC's core is C++: it knows no Python logger, and writes its lines to descriptor 2. That is made a
pipe for as long as the log is configured, and a thread makes a record of each line; the log itself
goes to the descriptor as it was.

The pipe's writing end never blocks. A thread of the core may hold Python's lock as it writes: if it
waited for room, the reader, which needs that lock to make room, would wait for it. What does not
fit is lost.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

CORE = logging.getLogger("grpc.core")
OTHERS = logging.getLogger("stderr")

STDERR = 2
PIPE_BYTES = 1 << 20
LONGEST_LINE = 8192
"""Bytes; a longer line becomes several records."""

_LEVELS = {
    "I": logging.INFO,
    "W": logging.WARNING,
    "E": logging.ERROR,
    "F": logging.CRITICAL,
}
# E0000 00:00:1732816296.123456    4242 ssl_transport_security.cc:1884] Handshake failed …
_CORE_LINE = re.compile(r"([IWEF])\d{4} \S+\s+\d+ ([\w./-]+:\d+)\] (.*)", re.DOTALL)
_PREAMBLE = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR"


@contextlib.contextmanager
def captured() -> Iterator[TextIO]:
    """Capture what is written to standard error until the end; gives the stream as it was.

    A log that goes to that stream goes to `sys.stderr` from then on.
    """
    sys.stderr.flush()
    before = os.dup(STDERR)
    stream = os.fdopen(os.dup(before), "w", encoding="utf-8", errors="backslashreplace")
    reading, writing = os.pipe()
    with contextlib.suppress(OSError):  # an unprivileged user may have no right to that much
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(writing, False)
    # Its level is the core's own affair: GRPC_VERBOSITY and GRPC_TRACE.
    CORE.setLevel(logging.INFO)
    # A process that crashes has no thread left to make records.
    faulthandler.enable(stream)
    logging.captureWarnings(capture=True)
    hook, threading.excepthook = threading.excepthook, _log_uncaught
    thread = threading.Thread(target=_read, args=(reading,), name="stderr", daemon=True)
    thread.start()
    os.dup2(writing, STDERR)
    os.close(writing)
    try:
        yield stream
    finally:
        threading.excepthook = hook
        logging.captureWarnings(capture=False)
        os.dup2(before, STDERR)
        os.close(before)
        # Nobody writes any longer, so that the thread comes to the end of the pipe.
        thread.join(1.0)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                handler.setStream(sys.stderr)
        faulthandler.disable()
        stream.close()


def _log_uncaught(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        error = (args.exc_type, args.exc_value, args.exc_traceback)
        OTHERS.error("a thread ended by an error that nobody foresaw", exc_info=error)


def _read(descriptor: int) -> None:
    """Make records of all lines until the other end is closed."""
    rest = b""
    while data := os.read(descriptor, PIPE_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            _record_all(line)
        if len(rest) >= LONGEST_LINE:
            _record_all(rest)
            rest = b""
    _record_all(rest)
    os.close(descriptor)


def _record_all(line: bytes) -> None:
    for begin in range(0, len(line), LONGEST_LINE):
        _record(line[begin : begin + LONGEST_LINE])


def _record(line: bytes) -> None:
    text = line.decode(errors="backslashreplace").rstrip()
    if not text or text == _PREAMBLE:
        return
    core = _CORE_LINE.fullmatch(text)
    if core is None:
        OTHERS.warning("%s", text)
    else:
        CORE.log(_LEVELS[core[1]], "%s", core[3], extra={"place": core[2]})
