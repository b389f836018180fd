"""One answer made of those of several replicas."""

from __future__ import annotations

from towpath.cli.together import (
    foreseen_together,
    policies_together,
    problems_together,
    refusals_together,
    sidecars_together,
)
from towpath_api.v1 import inspector_pb2 as pb

WRONG = pb.Problem(kind="Egress", namespace="a", name="x", field="spec.hosts[0]", reason="Invalid")
REJECTED = pb.Problem(kind="Egress", namespace="a", name="x", reason="Rejected")


def test_streams_stand_behind_their_replica_in_the_order_of_node_ids() -> None:
    first = pb.ListSidecarsResponse(sidecars=[pb.Sidecar(node_id="b.a"), pb.Sidecar(node_id="c.a")])
    second = pb.ListSidecarsResponse(sidecars=[pb.Sidecar(node_id="a.a")])

    rows = [(name, one.node_id) for name, one in sidecars_together({"1": first, "2": second})]

    assert [("2", "a.a"), ("1", "b.a"), ("1", "c.a")] == rows


def test_a_policy_counts_the_sidecars_of_all_and_is_accepted_if_all_say_so() -> None:
    first = pb.PolicyStatus(
        kind="Egress", name="x", accepted=True, affected_sidecars=3, acknowledged_sidecars=2
    )
    second = pb.PolicyStatus(kind="Egress", name="x", affected_sidecars=1, rejecting_sidecars=1)
    first.problems.append(WRONG)
    second.problems.extend([WRONG, REJECTED])
    answers = [pb.ListPoliciesResponse(policies=[status]) for status in (first, second)]

    (policy,) = policies_together(answers)

    assert (False, 4, 2, 1) == (
        policy.accepted,
        policy.affected_sidecars,
        policy.acknowledged_sidecars,
        policy.rejecting_sidecars,
    )
    assert [REJECTED, WRONG] == list(policy.problems)


def test_a_problem_that_several_have_is_listed_once() -> None:
    assert [REJECTED, WRONG] == problems_together(([WRONG], [WRONG, REJECTED]))


def test_what_is_foreseen_of_a_port_is_listed_once_the_narrowest_first() -> None:
    wide, narrow = (
        pb.ForeseenRefusals(service_account=account, port=80, granted=granted)
        for account, granted in (("a/x", 2), ("b/y", 0))
    )
    answers = [pb.ListPoliciesResponse(foreseen=each) for each in ([wide, narrow], [narrow])]

    assert [narrow, wide] == foreseen_together(answers)


def test_what_would_be_refused_is_added_up_the_latest_first() -> None:
    def flow(account: str, count: int, seconds: int) -> pb.Flow:
        message = pb.Flow(service_account=account, host="a/b", port=80, count=count)
        message.last.FromSeconds(seconds)
        return message

    answers = [
        pb.ListPoliciesResponse(would_deny=[flow("a/x", 2, 5), flow("a/y", 1, 6)]),
        pb.ListPoliciesResponse(would_deny=[flow("a/x", 3, 9)]),
    ]

    together = refusals_together(answers)

    assert [("a/x", 5, 9), ("a/y", 1, 6)] == [
        (one.service_account, one.count, one.last.seconds) for one in together
    ]
