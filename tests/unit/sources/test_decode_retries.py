"""Retries: what is read, and that what cannot be is not sent again."""

from __future__ import annotations

from typing import Any, cast

import pytest

from towpath.model.codes import Code
from towpath.model.names import Account
from towpath.model.problem import Problem
from towpath.model.retries import Retry, RetryPolicy
from towpath.sources.decode import decode

SOURCE = {"kind": "ServiceAccount", "name": "curl", "namespace": "shop"}
WEB = {"kind": "Service", "name": "web", "namespace": "books"}
POLICY = {
    "retryOn": "5xx, connect-failure,503",
    "perTryTimeout": "1s",
    "numRetries": 5,
    "retryBackoffBaseInterval": "20ms",
}


def test_all_of_it_is_read() -> None:
    retry, problems = read()

    assert () == problems
    assert (Account("shop", "curl"), (("books", "web"),)) == (retry.source, retry.destinations)
    assert RetryPolicy(("5xx", "connect-failure"), (503,), 5, 1.0, 0.02) == retry.policy


def test_what_is_not_said_is_envoys_own() -> None:
    retry, problems = read(retryPolicy={"retryOn": "reset"})

    assert ((), RetryPolicy(("reset",), ())) == (problems, retry.policy)


@pytest.mark.parametrize(
    "change",
    [
        {"numRetries": 0},
        {"numRetries": 101},
        {"numRetries": -1},
        {"numRetries": "5"},
        {"numRetries": True},
        {"perTryTimeout": "0s"},
        {"perTryTimeout": "-1s"},
        {"perTryTimeout": 1},
        {"retryBackoffBaseInterval": "0s"},
        {"retryBackoffBaseInterval": "2h"},
        {"retryOn": ""},
        {"retryOn": None},
        {"retryOn": "often"},
        {"retryOn": "retriable-status-codes"},
        {"retryOn": 503},
        {"numRetry": 3},
    ],
)
def test_what_cannot_be_read_sends_nothing_again(change: dict[str, Any]) -> None:
    retry, problems = read(retryPolicy={**POLICY, **change})

    assert retry.policy is None
    assert any("nothing is sent again" in problem.message for problem in problems)


def test_a_condition_that_is_not_known_is_left_out_and_said() -> None:
    retry, (problem,) = (
        read(retryPolicy={"retryOn": "5xx,retriable-headers,200"})[0],
        read(retryPolicy={"retryOn": "5xx,retriable-headers"})[1],
    )

    assert RetryPolicy(("5xx",), ()) == retry.policy
    assert ("spec.retryPolicy.retryOn", Code.INVALID_VALUE) == (problem.field, problem.code)
    assert '"retriable-headers"' in problem.message


@pytest.mark.parametrize(
    "source",
    [
        {**SOURCE, "kind": "Pod"},
        {**SOURCE, "namespace": "books"},
        {"kind": "ServiceAccount", "name": "curl"},
        {**SOURCE, "name": ""},
        {},
    ],
)
def test_a_source_is_a_service_account_of_its_namespace(source: dict[str, str]) -> None:
    retry, problems = read(source=source)

    assert retry.source is None
    assert problems


def test_a_destination_that_is_none_is_left_out() -> None:
    wrong = [{**WEB, "kind": "Pod"}, {**WEB, "name": "a.b"}, {"kind": "Service", "name": "web"}]
    retry, problems = read(destinations=[WEB, *wrong])
    none, said = read(destinations=wrong)

    assert ((("books", "web"),), 3) == (retry.destinations, len(problems))
    assert ((), Code.NOTHING_LEFT) == (none.destinations, said[-1].code)


def read(**change: Any) -> tuple[Retry, tuple[Problem, ...]]:
    spec = {"source": SOURCE, "destinations": [WEB], "retryPolicy": POLICY, **change}
    raw = {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "Retry",
        "metadata": {"name": "again", "namespace": "shop"},
        "spec": spec,
    }
    result = decode(raw, "mesh.yaml:1")
    return cast("Retry", result.value), result.problems
