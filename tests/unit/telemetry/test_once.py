"""A failure that lasts is one line of the log."""

from __future__ import annotations

import logging

import pytest

from towpath.telemetry.once import LogOnce

log = logging.getLogger(__name__)


def test_a_failure_is_logged_once_until_it_is_another_or_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failure = LogOnce(log)
    told = [failure.tell(text) for text in ("no route", "no route", "refused", "no route")]
    ended = [failure.over(), failure.over()]
    told.append(failure.tell("no route"))

    assert [True, False, True, True, True] == told
    assert [True, False] == ended
    assert ["no route", "refused", "no route", "no route"] == caplog.messages
    assert {(logging.WARNING, "test_once.py")} == {
        (record.levelno, record.filename) for record in caplog.records
    }
