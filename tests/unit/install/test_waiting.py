"""What a Deployment lacks, as its controller has it in the status."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.install.check import contains
from towpath.install.waiting import missing, not_established


def deployment(**status: Any) -> dict[str, Any]:
    return {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status}


ROLLED_OUT = {
    "observedGeneration": 2,
    "replicas": 2,
    "updatedReplicas": 2,
    "availableReplicas": 2,
}
FAILING = {
    "type": "ReplicaFailure",
    "status": "True",
    "reason": "FailedCreate",
    "message": "pods are forbidden",
}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (ROLLED_OUT, ""),
        ({}, "its newest generation is not yet observed"),
        ({**ROLLED_OUT, "observedGeneration": 1}, "its newest generation is not yet observed"),
        ({**ROLLED_OUT, "availableReplicas": 1}, "1 of 2 replicas are available, 2 are of"),
        ({**ROLLED_OUT, "updatedReplicas": 1}, "2 of 2 replicas are available, 1 are of"),
        ({**ROLLED_OUT, "replicas": 3}, "2 of 2 replicas are available, 2 are of"),
        ({"observedGeneration": 2, "conditions": [FAILING]}, "FailedCreate: pods are forbidden"),
    ],
)
def test_a_rollout_is_over_when_every_replica_is_new_and_available(
    status: dict[str, Any], said: str
) -> None:
    found = missing(deployment(**status))

    assert said in found
    assert bool(said) == bool(found)


def test_fields_that_the_server_adds_are_no_difference() -> None:
    wanted = {"a": [{"b": 1}], "c": "x"}

    assert contains({"a": [{"b": 1, "default": 2}], "c": "x", "d": 0}, wanted)
    assert not contains({"a": [{"b": 1}, {"b": 2}], "c": "x"}, wanted)
    assert not contains({"a": [{"b": 2}], "c": "x"}, wanted)
    assert not contains({"a": [{"b": 1}]}, wanted)


@pytest.mark.parametrize("status", [{}, {"status": None}, {"status": {"conditions": None}}])
def test_a_definition_that_nobody_has_looked_at_is_not_established(status: Any) -> None:
    assert not_established(status) == "the API server has not looked at it yet"
