"""What others wrote is fit for one line of a log or a table."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from towpath.model.text import printable, shorten

NASTY = "a\nb\r\x1b[31mred\x1b[0m\x07\u202etxt\u2028\x9b"


def test_what_moves_a_cursor_ends_a_line_or_turns_the_text_is_escaped() -> None:
    assert "a\\nb\\r\\x1b[31mred\\x1b[0m\\x07\\u202etxt\\u2028\\x9b" == printable(NASTY)


def test_what_people_write_is_left_alone() -> None:
    for text in ("", "plain", "Grüße, 漢字 …", "C:\\path"):
        assert text == printable(text)


@given(st.text())
def test_whatever_it_was_it_is_printable(text: str) -> None:
    assert printable(text).isprintable()


@given(st.text(max_size=60), st.integers(10, 40))
def test_what_is_shortened_keeps_both_ends_and_is_no_longer_than_said(
    text: str, longest: int
) -> None:
    short = shorten(text, longest)

    assert len(short) == min(len(text), longest)
    assert short == text or (" … " in short and short[:3] == text[:3] and short[-3:] == text[-3:])
