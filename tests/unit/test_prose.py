"""The check of prose: what it finds, and what it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from prose import ROOT, RULES, Rule, Text, check, comments, page, texts

FILE = ROOT / "docs/x.md"


def faults(words: str) -> list[str]:
    return list(check(Text(FILE, 7, words)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.example)
def test_each_rule_finds_its_example(rule: Rule) -> None:
    assert any(fault.endswith(rule.advice) for fault in faults(rule.example))


@pytest.mark.parametrize(
    "words",
    [
        "There is no Pod curl/curl, and it is no longer served.",
        "Who may connect, and what each may see.",
        "Who reads this page?",
        "The agent runs beside Pipy.",
        "In the words of the standard.",
        "What becomes visible is counted.",
    ],
)
def test_plain_english_passes(words: str) -> None:
    assert faults(words) == []


def test_a_fault_names_file_line_words_and_what_to_write() -> None:
    assert faults("it is listed anew") == ['docs/x.md:7: "anew": write instead: again']


def test_a_page_is_read_by_paragraphs_items_and_rows_without_code() -> None:
    text = "# T\n\na\n`anew` b\n- c\n  d\n| e |\n```\nanew\n```\nf\n"

    found = [(text.line, text.words) for text in page(FILE, text)]

    assert found == [(1, "T"), (3, "a `…` b"), (5, "c d"), (7, "| e |"), (11, "f")]


def test_of_code_literals_are_read_and_of_commands_the_help() -> None:
    source = (
        '"""Module."""\n'
        "@command()\n"
        "def f():\n"
        '    """Help."""\n'
        '    return f"one {x} " "two"\n'
        "def g():\n"
        '    """Docstring."""\n'
        '    raise E("three "\n            "four")\n'
    )

    found = [(text.line, text.words) for text in texts(Path("f.py"), source, helps=True)]

    assert found == [(3, "Help."), (5, "one … two"), (8, "three four")]
    assert "Help." not in {text.words for text in texts(Path("f.py"), source, helps=False)}


def test_of_protos_the_comments_are_read() -> None:
    found = list(comments(FILE, "// a\n// b\nmessage X {\n  // c\n}\n"))

    assert found == [Text(FILE, 1, "a b"), Text(FILE, 4, "c")]
