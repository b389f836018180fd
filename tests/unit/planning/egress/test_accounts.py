"""A policy for a service account that does not exist is a Problem, and refuses nothing."""

from __future__ import annotations

import pytest

from support.objects import egress, mesh_config, mesh_of, namespace, pod, service_account
from towpath.model.codes import Code, Reason
from towpath.model.egress import Egress
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account
from towpath.model.problem import Problem
from towpath.planning import outbound, policy_problems
from towpath.planning.egress.accounts import LISTED

TYPO = Account("shop", "crul")


def _mesh(policy: Egress, *objects: Object) -> Mesh:
    return mesh_of(namespace(), mesh_config(policies=True), policy, *objects)


def test_a_misspelt_source_is_a_problem_with_the_nearest_name() -> None:
    policy = egress(sources=[TYPO])
    (problem,) = policy_problems(_mesh(policy, service_account("curl"), service_account("web")))

    text = (
        "ServiceAccount shop/crul does not exist: the Egress selects no sidecar by it; "
        "did you mean curl?"
    )
    assert Problem(policy.ref, "spec.sources", Code.MISSING_ACCOUNT, text) == problem


def test_without_a_name_like_it_no_name_is_guessed() -> None:
    (problem,) = policy_problems(_mesh(egress(sources=[TYPO]), service_account("payments")))

    assert problem.message.endswith("the Egress selects no sidecar by it")


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param((service_account("crul"),), id="the ServiceAccount"),
        pytest.param((service_account("curl"), pod(account="crul")), id="a Pod that runs as it"),
        pytest.param((), id="a folder without ServiceAccounts"),
        pytest.param((service_account("curl", in_namespace="other"),), id="of another namespace"),
    ],
)
def test_nothing_is_said_where_it_exists_or_where_that_cannot_be_told(
    objects: tuple[Object, ...],
) -> None:
    assert () == policy_problems(_mesh(egress(sources=[TYPO]), *objects))


def test_the_default_account_of_a_namespace_always_exists() -> None:
    assert () == policy_problems(_mesh(egress(), service_account("curl")))


def test_a_source_outside_the_mesh_has_one_problem() -> None:
    policy = egress(sources=[Account("away", "crul")])
    mesh = _mesh(policy, service_account("curl", in_namespace="away"))

    assert [Reason.NOT_IN_MESH] == [problem.reason for problem in policy_problems(mesh)]


def test_the_policy_is_in_force_before_its_account_is_there() -> None:
    policy = egress(sources=[TYPO])
    before = _mesh(policy, service_account("curl"))
    after = _mesh(policy, service_account("curl"), service_account("crul"))

    assert outbound(before, TYPO) == outbound(after, TYPO)
    assert outbound(before, TYPO).egress.ports


def test_many_unknown_sources_are_a_few_problems() -> None:
    sources = [Account("shop", f"crul{n}") for n in range(1000)]
    problems = policy_problems(_mesh(egress(sources=sources), service_account("curl")))

    assert LISTED + 1 == len(problems)
    assert f"{1000 - LISTED} more ServiceAccounts do not exist" == problems[0].message
