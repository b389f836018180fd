"""Logs: one line for each event, in the form that was asked for."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from towpath.telemetry.logs import configure, toggle_debug


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The process's own logging, put back behind each test."""
    root, ours = logging.getLogger(), logging.getLogger("towpath")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], root.level, ours.level = before[0], before[1], before[2]


def _lines(*, form: str, level: str = "info") -> tuple[io.StringIO, logging.Logger]:
    stream = io.StringIO()
    configure(level=level, form=form, stream=stream)
    return stream, logging.getLogger("towpath.test")


def test_a_text_line_has_a_utc_time_a_level_and_a_logger() -> None:
    stream, log = _lines(form="text")

    log.info("pod %s appeared", "curl")

    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    towpath\.test: pod curl appeared\n"
    assert re.fullmatch(pattern, stream.getvalue())


def test_a_json_line_is_one_object_whatever_the_message() -> None:
    stream, log = _lines(form="json")

    log.warning('two\nlines and "quotes", ünïcode')

    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert event["message"] == 'two\nlines and "quotes", ünïcode'
    assert (event["level"], event["logger"]) == ("warning", "towpath.test")
    assert event["time"].endswith("Z")
    assert "error" not in event


def test_a_json_line_of_an_error_has_its_traceback() -> None:
    stream, log = _lines(form="json")

    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("it failed")

    assert "ValueError: broken" in json.loads(stream.getvalue())["error"]


def test_the_level_is_ours_and_other_libraries_only_warn() -> None:
    stream, log = _lines(form="text", level="debug")

    log.debug("detail")
    logging.getLogger("somebody.else").info("chatter")

    assert "detail" in stream.getvalue()
    assert "chatter" not in stream.getvalue()


def test_a_text_line_is_one_line_whatever_it_quotes() -> None:
    stream, log = _lines(form="text")

    log.warning(
        "%s rejected it: %s", "curl\x1b[2J", "no\n2026-01-01T00:00:00.000Z INFO all is well"
    )

    (line,) = stream.getvalue().splitlines()
    assert line.endswith("curl\\x1b[2J rejected it: no\\n2026-01-01T00:00:00.000Z INFO all is well")


def test_a_traceback_keeps_its_lines() -> None:
    stream, log = _lines(form="text")

    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("it\nfailed")

    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("it\\nfailed")
    assert "ValueError: broken" == rest[-1]


def test_the_fields_of_a_record_are_keys_of_its_json_line() -> None:
    stream, log = _lines(form="json")

    log.info("%s left", "curl.curl", extra={"node": "curl.curl\x9b\u202e", "version": "1"})

    line = stream.getvalue().removesuffix("\n")
    event = json.loads(line)
    keys = ["time", "level", "logger", "message", "node", "version"]
    assert keys == list(event)
    assert ("curl.curl\x9b\u202e", "1") == (event["node"], event["version"])
    assert line.isascii()


def test_debug_is_switched_on_and_off_again_and_each_is_said() -> None:
    stream, log = _lines(form="text", level="error")

    toggle_debug("error")
    log.debug("detail")
    toggle_debug("error")
    log.info("chatter")

    said = [line.partition("towpath.")[2] for line in stream.getvalue().splitlines()]
    assert [
        "telemetry.logs: the log level is debug from now on",
        "test: detail",
        "telemetry.logs: the log level is error from now on",
    ] == said


def test_what_is_set_to_debug_stays_at_debug() -> None:
    stream, log = _lines(form="text", level="debug")

    toggle_debug("debug")
    log.debug("detail")

    assert "detail" in stream.getvalue()
