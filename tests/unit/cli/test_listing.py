"""Listings: one form for every command that lists."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click
import pytest
import yaml
from click.testing import CliRunner

from towpath.cli.listing import Cell, Column, Listing, age, rendered, show, summary_of

LISTING = Listing(
    (Column("NODE"), Column("UNTIL", wide=True), Column("STATE")),
    [("web.shop", "tomorrow", Cell("ok", "good")), ("a\x1b[2J.shop", "-", Cell("no", "bad"))],
    ("web.shop", "a\x1b[2J.shop"),
    {"sidecars": [], "count": 2},
    ["a\nb"],
    "2 sidecars: 1 ok",
    2,
)


def test_a_table_has_the_columns_of_its_form_and_no_bytes_that_move_the_cursor() -> None:
    table = click.unstyle(rendered(LISTING, "table"))
    wide = click.unstyle(rendered(LISTING, "wide"))

    assert [
        "NODE           STATE",
        "web.shop       ok",
        "a\\x1b[2J.shop  no",
        "a\\nb",
    ] == table.splitlines()
    assert "NODE           UNTIL     STATE" == wide.splitlines()[0]


def test_programs_get_names_json_and_yaml() -> None:
    assert ["web.shop", "a\\x1b[2J.shop"] == rendered(LISTING, "name").splitlines()
    assert LISTING.document == json.loads(rendered(LISTING, "json"))
    assert LISTING.document == yaml.safe_load(rendered(LISTING, "yaml"))


@pytest.mark.parametrize("width", [20, 30, 40])
def test_a_table_fits_a_terminal_by_cutting_its_widest_columns(width: int) -> None:
    columns = tuple(Column(name) for name in ("A", "B"))
    listing = Listing(columns, [("short", "x" * 50)], ("a",), {})

    lines = rendered(listing, "table", width=width).splitlines()

    assert width == max(map(len, lines))
    assert "short" in lines[1]
    assert lines[1].endswith("…")


def test_columns_keep_what_tells_them_apart_where_nothing_fits() -> None:
    columns = tuple(Column(name) for name in ("A", "B"))
    listing = Listing(columns, [("x" * 30, "y" * 30)], ("a",), {})

    assert "x" * 11 + "…  " + "y" * 11 + "…" == rendered(listing, "table", width=5).splitlines()[1]


def test_colours_are_for_terminals_and_the_summary_for_people() -> None:
    @click.command()
    @click.option("--output")
    def command(output: str) -> None:
        show(lambda: LISTING, output, watch=False)

    table = CliRunner().invoke(command, ["--output", "table"])
    in_colour = CliRunner().invoke(command, ["--output", "table"], color=True)
    names = CliRunner().invoke(command, ["--output", "name"])

    assert (2, "2 sidecars: 1 ok\n") == (table.exit_code, table.stderr)
    assert "\x1b" not in table.stdout
    assert click.style("ok", fg="green") in in_colour.stdout
    assert (2, "") == (names.exit_code, names.stderr)


def test_watching_prints_what_is_another_until_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["one", "one", "two"]
    answers = iter(texts)

    def ask() -> Listing:
        try:
            return Listing((Column("A"),), [(next(answers),)], ("a",), {})
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("towpath.cli.listing.time.sleep", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        show(ask, "table", watch=True)

    assert (0, ["A", "one", "A", "two"]) == (ended.value.code, capsys.readouterr().out.split())


def test_watching_goes_on_after_a_question_without_an_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: Iterator[str | BaseException] = iter(
        ["one", click.ClickException("it broke off"), "two", KeyboardInterrupt()]
    )

    def ask() -> Listing:
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return Listing((Column("A"),), [(answer,)], ("a",), {})

    monkeypatch.setattr("towpath.cli.listing.time.sleep", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        show(ask, "table", watch=True)

    printed = capsys.readouterr()
    assert (0, ["A", "one", "A", "two"]) == (ended.value.code, printed.out.split())
    assert "Error: it broke off\n" == printed.err


def test_a_first_question_without_an_answer_ends_the_watch() -> None:
    def ask() -> Listing:
        raise click.ClickException("no rights")

    with pytest.raises(click.ClickException, match="no rights"):
        show(ask, "table", watch=True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (9.9, "9s"),
        (60, "1m"),
        (250, "4m10s"),
        (3600, "1h"),
        (10_920, "3h2m"),
        (435_600, "5d1h"),
    ],
)
def test_ages_have_two_units_at_most(seconds: float, text: str) -> None:
    assert text == age(seconds)


def test_a_summary_counts_what_there_is() -> None:
    counts = {"ok": 141, "waiting": 0, "rejecting": 2}

    assert "143 sidecars: 141 ok, 2 rejecting" == summary_of(143, "sidecar", counts)
    assert "1 policy: 1 accepted" == summary_of(1, "policy", {"accepted": 1})
    assert "0 policies" == summary_of(0, "policy", {})
