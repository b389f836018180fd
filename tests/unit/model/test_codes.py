"""The table of codes: names that can be relied on, and a page that explains each."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from towpath.model.codes import Code, Reason, Severity
from towpath.model.names import ObjectRef
from towpath.model.problem import Problem

ROOT = Path(__file__).parents[3]


def test_the_page_is_what_the_table_makes() -> None:
    assert _generator().problems() == (ROOT / "docs/problems.md").read_text(), "run `make tables`"


def test_each_code_has_a_heading_of_its_own_below_its_severity() -> None:
    sections = (ROOT / "docs/problems.md").read_text().split("\n## ")[1:]

    assert [
        sorted(code.value for code in Code if code.severity is severity) for severity in Severity
    ] == [re.findall(r"^### (.*)$", section, re.MULTILINE) for section in sections]


def test_names_are_words_with_hyphens() -> None:
    assert [] == [code for code in Code if not re.fullmatch(r"[a-z]+(-[a-z]+){1,3}", code)]


def test_each_reason_is_that_of_a_code() -> None:
    assert set(Reason) == {code.reason for code in Code}


def test_a_problem_has_the_reason_and_the_severity_of_its_code() -> None:
    problem = Problem(ObjectRef("Egress", "shop", "a"), "spec.matches", Code.MISSING_ROUTE, "gone")

    assert (Reason.MISSING, Severity.ERROR) == (problem.reason, problem.severity)


def test_severities_have_an_order() -> None:
    assert [Severity.ERROR, Severity.WARNING, Severity.INFO] == sorted(
        Severity.__members__.values(), key=lambda severity: -severity.rank, reverse=True
    )


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
