"""Check the English that users read: `make check` and the gate run it.

It looks at the pages, the README, what CHANGELOG.md says of the next version, the comments of the
protos, and every text in the code: messages, help of commands and options, HELP of metrics.
Comments and docstrings that only developers read are not checked.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "SECURITY.md", "docs/**/*.md", "examples/*.md")
CODE = ("server/towpath/**/*.py", "client_stub/**/*.py")
COMMANDS = ROOT / "server/towpath/cli"


@dataclass(frozen=True, slots=True)
class Rule:
    """*pattern* finds what not to write, such as *example*; *advice* says what to write."""

    pattern: re.Pattern[str]
    example: str
    advice: str


def _rule(pattern: str, example: str, advice: str) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), example, advice)


RULES = (
    _rule(
        r"\bwhat (?:has |had )?(?:becomes?|became) of\b",
        "what has become of each policy",
        "the status, the outcome",
    ),
    _rule(r"\bthe very\b", "by the very plan that sidecars are sent", "the same, or nothing"),
    _rule(r"\bhangs? on\b", "it hangs on the client", "depends on"),
    _rule(
        r"\b(?:speaks?|spoken) (?:only )?(?:for|of)\b",
        "policies that speak for this account",
        "select, name, apply to",
    ),
    _rule(
        r"(?<!\bthere )(?<!\bwhere )(?<!\bif )\b(?:is|are|was|were) no "
        r"(?!longer|more|less|such)\w+",
        "this is no file",
        "is not a …; there is no …",
    ),
    _rule("[«»]", "it shows «ok»", "straight quotes or code"),
    _rule(r"\banew\b", "it is listed anew", "again"),
    _rule(
        r"\b(?:its|their|own|\w+'s) (?:own )?words\b",
        "in the sidecar's own words",
        "error message, reason",
    ),
    _rule(
        r"(?:^|[.:;|] )who(?:ever)? (?!is\b|are\b|may\b|can\b|must\b)[a-z]+s\b[^?]*?(?:[.|;]|$)",
        "Who passes a limit is refused.",
        "a client that …, a user that …",
    ),
    _rule(
        r"\b(?:is|are|was|were) to (?!be\b)[a-z]+\b",
        "what the pod is to hold",
        "should, must, will",
    ),
    _rule(
        r"\b(?:everything|nothing|nobody|anything) beside\b|\bbeside (?:it|them|its|that)\b",
        "everything beside it goes on",
        "besides, other than, next to",
    ),
    _rule(r"\bnot planned\b", "not planned in this version", "not supported"),
    _rule(r"\bis not begun\b", "TLS is not begun", "is not supported"),
    _rule(r"\b(?:is|are|was|were) told\b", "a client is told the limit", "gets, receives"),
    _rule(r"\b(?:its|their) like\b", "it is not sent to its like", "sidecars of the same version"),
    _rule(r"\bput right\b", "a status is put right", "reverted, corrected"),
    _rule(r"\btheirs alone\b", "a host is theirs alone", "decide alone for"),
    _rule(r"\bdoes? \w+ good\b", "what does them good", "helps"),
    _rule(r"\bha(?:s|ve|d) it what\b", "has it what it should?", "is it current?"),
    _rule(r"\bis all well\b", "is all well?", "healthy; check the installation"),
    _rule(r"\bas (?:it|they) should be\b", "2 are not as they should be", "missing, outdated"),
    _rule(r"\bheard of\b", "not heard of", "unknown, not reported"),
)


@dataclass(frozen=True, slots=True)
class Text:
    """One paragraph, and where it begins."""

    file: Path
    line: int
    words: str


def check(text: Text) -> Iterator[str]:
    for rule in RULES:
        for match in rule.pattern.finditer(text.words):
            place = f"{text.file.relative_to(ROOT)}:{text.line}"
            yield f'{place}: "{match[0].strip()}": write instead: {rule.advice}'


def pages() -> Iterator[Text]:
    for pattern in PAGES:
        for file in sorted(ROOT.glob(pattern)):
            yield from page(file, file.read_text())
    changes = ROOT / "CHANGELOG.md"
    unreleased, *_ = re.split(r"(?m)^## (?!\[Unreleased\])", changes.read_text())
    yield from page(changes, unreleased)


def page(file: Path, text: str) -> Iterator[Text]:
    """Paragraphs, list items and table rows of Markdown, without code."""
    blocks: list[tuple[int, list[str]]] = []
    fenced = fresh = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().startswith("```"):
            fenced, fresh = not fenced, True
        elif fenced or not line.strip():
            fresh = True
        elif fresh or not blocks or re.match(r"\s*(?:[-*|#]|\d+\.) ?", line):
            blocks.append((number, [line]))
            fresh = False
        else:
            blocks[-1][1].append(line)
    for number, lines in blocks:
        words = re.sub(r"`[^`]*`", "`…`", " ".join(line.strip() for line in lines))
        yield Text(file, number, re.sub(r"^(?:[-*#]+|\d+\.) +", "", words.replace("**", "")))


def comments(file: Path, text: str) -> Iterator[Text]:
    """The comments of a .proto file."""
    number, lines = 0, list[str]()
    for line in (*enumerate(text.splitlines(), 1), (0, "")):
        comment = re.match(r"\s*//\s?(.*)", line[1])
        if comment:
            number = number if lines else line[0]
            lines.append(comment[1])
        elif lines:
            yield Text(file, number, " ".join(lines))
            lines = []


def code() -> Iterator[Text]:
    for pattern in CODE:
        for file in sorted(ROOT.glob(pattern)):
            yield from texts(file, file.read_text(), helps=COMMANDS in file.parents)
    for file in sorted(ROOT.glob("protos/**/*.proto")):
        yield from comments(file, file.read_text())


def texts(file: Path, source: str, *, helps: bool) -> Iterator[Text]:
    """Literals of Python code; with *helps* the docstrings of commands too, not others."""
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr):
            skipped.add(id(node.value))
        if helps and isinstance(node, ast.FunctionDef) and node.decorator_list:
            yield Text(file, node.lineno, _line(ast.get_docstring(node) or ""))
        elif isinstance(node, ast.JoinedStr):
            skipped.update(map(id, node.values))
            yield Text(file, node.lineno, _line(_joined(node)))
        elif isinstance(node, ast.Constant) and id(node) not in skipped:
            yield Text(file, node.lineno, _line(str(node.value)))


def _line(text: str) -> str:
    return " ".join(text.split())


def _joined(literal: ast.JoinedStr) -> str:
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else "…" for part in literal.values
    )


def main() -> int:
    faults = [fault for text in (*pages(), *code()) for fault in check(text)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
