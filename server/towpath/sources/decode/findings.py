"""Findings: the Problems of one object, collected while it is decoded."""

from __future__ import annotations

import json

from towpath.model.codes import Code
from towpath.model.names import ObjectRef
from towpath.model.problem import Problem
from towpath.model.text import printable, shorten

MOST_PROBLEMS = 100
"""How many Problems of one object are listed one by one."""

LONGEST_FIELD = 200
LONGEST_MESSAGE = 600
"""Characters: names of fields, and what others say of a value, may be of any length."""

_SHOWN_CHARACTERS = 60


def show(value: object) -> str:
    """The value as a person would write it, on one line and of bounded length."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return json.dumps(value[:_SHOWN_CHARACTERS], ensure_ascii=False) + "..."
    return json.dumps(value, ensure_ascii=False, default=repr)


class Findings:
    """What is wrong with the object *ref*, which was read at *source*."""

    def __init__(self, ref: ObjectRef, source: str) -> None:
        self.ref = ref
        self.source = source
        self._problems: list[Problem] = []
        self._unlisted = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        if not self._unlisted:
            return tuple(self._problems)
        text = f"has {self._unlisted} more problems than the {MOST_PROBLEMS} that are listed"
        return (*self._problems, Problem(self.ref, "", Code.MANY_PROBLEMS, text, self.source))

    @property
    def count(self) -> int:
        """How many Problems there are, those that are only counted among them."""
        return len(self._problems) + self._unlisted

    @property
    def full(self) -> bool:
        """True if further Problems are only counted."""
        return len(self._problems) >= MOST_PROBLEMS

    def add(self, code: Code, field: str, message: str) -> None:
        if self.full:
            self._unlisted += 1
        else:
            field = shorten(printable(field), LONGEST_FIELD)
            message = shorten(printable(message), LONGEST_MESSAGE)
            self._problems.append(Problem(self.ref, field, code, message, self.source))

    def invalid(self, field: str, value: object, *, allowed: str, effect: str) -> None:
        """Say that *value* is not allowed, what is, and what happens instead."""
        message = f"is {show(value)}; allowed: {allowed}; {effect}"
        self.add(Code.INVALID_VALUE, field, message)

    def unused(self, field: str, value: object, *, allowed: str) -> None:
        """Say that the object as a whole is not used because of *value*."""
        self.invalid(field, value, allowed=allowed, effect=f"the {self.ref.kind} is not used")
