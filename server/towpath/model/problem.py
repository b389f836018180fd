"""Problem: an invalid or conflicting part of the input, as a value."""

from __future__ import annotations

from dataclasses import dataclass

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
        return problem_line(self.object, self.field, self.reason, self.message, self.source)


def problem_line(ref: ObjectRef, field: str, reason: str, message: str, source: str) -> str:
    """A Problem as people read it, also one that a server of another version found."""
    where = f"{source}: " if source else ""
    what = f"{ref} {field}" if field else str(ref)
    return printable(f"{where}{what}: {reason}: {message}")
