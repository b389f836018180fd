"""What a terminal is shown meanwhile, and that programs are shown nothing of it."""

from __future__ import annotations

import io
import sys

import pytest

from towpath.cli.progress import MANY, progress, stage


class Terminal(io.StringIO):
    """A standard error that somebody looks at."""

    def isatty(self) -> bool:
        return True


def _at_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """In the test itself: pytest sets the stream anew before it."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_many_things_are_counted_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _at_terminal(monkeypatch)
    with progress([*range(MANY)], "accounts") as things:
        assert MANY == len([*things])

    assert "accounts" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_few_things_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _at_terminal(monkeypatch)
    with progress([1, 2], "accounts") as things:
        assert [1, 2] == [*things]

    assert "" == terminal.getvalue()


def test_a_stage_is_said_while_it_lasts_also_if_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _at_terminal(monkeypatch)
    with pytest.raises(ValueError, match="no"), stage("reading \x1b[2J"):
        assert "reading \\x1b[2J …" == terminal.getvalue()
        raise ValueError("no")

    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_program_is_shown_neither(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("reading"), progress([*range(MANY)], "accounts") as things:
        assert MANY == len([*things])

    assert ("", "") == capsys.readouterr()
