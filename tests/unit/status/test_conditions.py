"""Conditions: what a policy's status says, and when a transition time is kept."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.answers.status import Counts, PolicyStatus
from towpath.model.codes import Code
from towpath.model.names import ObjectRef, Stamp
from towpath.model.problem import Problem
from towpath.status.conditions import apply_document, condition_states, status_document, summary

REF = ObjectRef("Egress", "curl", "out")
NOW, BEFORE = "2026-11-23T03:00:00Z", "2026-11-22T00:00:00Z"


def _problem(code: Code, field: str = "spec.hosts", message: str = "is wrong") -> Problem:
    return Problem(REF, field, code, message)


def _status(*problems: Problem, accepted: bool = True) -> PolicyStatus:
    return PolicyStatus(REF, Stamp("u-1", 7), accepted, problems, Counts())


def _document(
    status: PolicyStatus, counts: Counts, *unheard: str, present: Any = None
) -> dict[str, Any]:
    return dict(status_document(status, counts, unheard=unheard, present=present or {}, now=NOW))


def _words(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in document["conditions"]}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (_status(), ("True", "Accepted")),
        (_status(_problem(Code.INVALID_VALUE)), ("True", "PartlyAccepted")),
        (_status(_problem(Code.CONFLICTING_SETTING)), ("True", "Conflict")),
        (_status(accepted=False), ("False", "NoEffect")),
        (_status(_problem(Code.INVALID_VALUE), accepted=False), ("False", "Invalid")),
        (
            _status(_problem(Code.INVALID_VALUE), _problem(Code.EGRESS_OFF), accepted=False),
            ("False", "NotEnabled"),
        ),
        (_status(_problem(Code.MISSING_ACCOUNT, "spec.sources")), ("True", "PartlyAccepted")),
        (
            _status(
                _problem(Code.MISSING_ACCOUNT, "spec.sources"),
                _problem(Code.INVALID_VALUE),
                accepted=False,
            ),
            ("False", "Invalid"),
        ),
    ],
)
def test_accepted_names_the_reason_that_decides(
    status: PolicyStatus, expected: tuple[str, str]
) -> None:
    assert expected == _words(_document(status, Counts()))["Accepted"]


@pytest.mark.parametrize(
    ("counts", "unheard", "expected"),
    [
        (Counts(), (), ("True", "NoSidecars")),
        (Counts(3, 3), (), ("True", "Programmed")),
        (Counts(3, 2), (), ("False", "Pending")),
        (Counts(3, 2, 1), (), ("False", "Rejected")),
        (Counts(3, 3), ("b",), ("False", "Pending")),
        (Counts(), ("b",), ("False", "Pending")),
    ],
)
def test_programmed_is_true_only_when_every_replicas_sidecars_have_it(
    counts: Counts, unheard: tuple[str, ...], expected: tuple[str, str]
) -> None:
    assert expected == _words(_document(_status(), counts, *unheard))["Programmed"]


def test_a_policy_that_is_not_accepted_is_not_programmed() -> None:
    document = _document(_status(accepted=False), Counts(3, 3))

    assert ("False", "NotAccepted") == _words(document)["Programmed"]


def test_counts_and_generation_are_said() -> None:
    document = _document(_status(), Counts(3, 2, 1))

    assert (7, 3, 2) == tuple(
        document[name]
        for name in ("observedGeneration", "affectedSidecars", "acknowledgedSidecars")
    )
    assert all(condition["observedGeneration"] == 7 for condition in document["conditions"])


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    first = _document(_status(), Counts(2, 1))
    for condition in first["conditions"]:
        condition["lastTransitionTime"] = BEFORE
    then = _document(_status(), Counts(2, 2), present=first)

    times = {c["type"]: c["lastTransitionTime"] for c in then["conditions"]}
    assert {"Accepted": BEFORE, "Programmed": NOW} == times
    assert condition_states(first) != condition_states(then)


def test_what_has_not_changed_gives_an_equal_document() -> None:
    first = _document(_status(), Counts(2, 2))

    assert first == _document(_status(), Counts(2, 2), present=first)


def test_the_object_to_apply_names_its_uid() -> None:
    applied = apply_document(_status(), {"x": 1})

    assert applied == {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "Egress",
        "metadata": {"namespace": "curl", "name": "out", "uid": "u-1"},
        "status": {"x": 1},
    }


def test_a_summary_is_bounded() -> None:
    many = tuple(_problem(Code.INVALID_VALUE, f"spec.hosts[{n}]", "x" * 600) for n in range(30))

    assert "and 20 more" in summary(many, longest=100_000)
    assert 1024 == len(summary(many, longest=1024))
