"""Findings: the Problems of one object, collected while it is decoded."""

from __future__ import annotations

import json

from towpath.model.names import ObjectRef
from towpath.model.problem import Problem, Reason

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

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self._problems)

    def add(self, reason: Reason, field: str, message: str) -> None:
        self._problems.append(Problem(self.ref, field, reason, message, self.source))

    def invalid(self, field: str, value: object, *, allowed: str, effect: str) -> None:
        """Say that *value* is not allowed, what is, and what happens instead."""
        message = f"is {show(value)}; allowed: {allowed}; {effect}"
        self.add(Reason.INVALID, field, message)

    def unused(self, field: str, value: object, *, allowed: str) -> None:
        """Say that the object as a whole is not used because of *value*."""
        self.invalid(field, value, allowed=allowed, effect=f"the {self.ref.kind} is not used")
