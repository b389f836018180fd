"""Problem: an invalid or conflicting part of the input, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from towpath.model.codes import Code, Reason, Severity
from towpath.model.names import ObjectRef
from towpath.model.text import printable


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with one object.

    `field` is a path such as `spec.ports[0].number` ("" for the object as a whole);
    `message` gives the value, what is allowed, and what Towpath does instead;
    `source` is where the object was read (`mesh.yaml:12`, or "" for an API server).
    """

    object: ObjectRef
    field: str
    code: Code
    message: str
    source: str = ""

    @property
    def reason(self) -> Reason:
        """The one word for what is wrong, of few."""
        return self.code.reason

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return self.code.severity

    def __str__(self) -> str:
        return problem_line(self.object, self)


class Described(Protocol):
    """What a Problem says of its object: ours, or one of the Inspector's answers, whose words may
    be those of another version.
    """

    @property
    def field(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def source(self) -> str: ...


def problem_line(ref: ObjectRef, problem: Described) -> str:
    """A Problem as people read it, wherever it stands: `SEVERITY: SOURCE: KIND NAMESPACE/NAME
    FIELD: REASON: MESSAGE [CODE]`, without what is empty.
    """
    what = f"{ref} {problem.field}" if problem.field else str(ref)
    parts = (problem.severity, problem.source, what, problem.reason, problem.message)
    code = f" [{problem.code}]" if problem.code else ""
    return printable(": ".join(part for part in parts if part) + code)
