"""One answer made of those of several replicas, each of which knows its own sidecars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from towpath_api.v1 import inspector_pb2 as pb


def sidecars_together(
    answers: Mapping[str, pb.ListSidecarsResponse],
) -> list[tuple[str, pb.Sidecar]]:
    """Each stream, behind the name of its replica; by node id, replica and stream."""
    streams = [(name, one) for name, answer in answers.items() for one in answer.sidecars]
    return sorted(streams, key=lambda each: (each[1].node_id, each[0], each[1].stream_id))


def policies_together(answers: Iterable[pb.ListPoliciesResponse]) -> list[pb.PolicyStatus]:
    """Each policy once, with the sidecars of all replicas; accepted if it is so for all of them."""
    policies = dict[tuple[str, str, str], pb.PolicyStatus]()
    for answer in answers:
        for one in answer.policies:
            key = one.kind, one.namespace, one.name
            if key not in policies:
                policies[key] = pb.PolicyStatus()
                policies[key].CopyFrom(one)
            else:
                _add(policies[key], one)
    return [policies[key] for key in sorted(policies)]


def refusals_together(answers: Iterable[pb.ListPoliciesResponse]) -> list[pb.Flow]:
    """What would be refused, each with the reports of all replicas, the latest first."""
    flows = dict[tuple[str, str, str, int, str], pb.Flow]()
    for answer in answers:
        for one in answer.would_deny:
            key = one.service_account, one.pod_address, one.host, one.port, one.method
            if key not in flows:
                flows[key] = pb.Flow()
                flows[key].CopyFrom(one)
            else:
                flows[key].count += one.count
                if one.last.ToMicroseconds() > flows[key].last.ToMicroseconds():
                    flows[key].last.CopyFrom(one.last)
    return sorted(flows.values(), key=lambda one: -one.last.ToMicroseconds())


def foreseen_together(answers: Iterable[pb.ListPoliciesResponse]) -> list[pb.ForeseenRefusals]:
    """What is foreseen, each port once: all replicas plan by the same objects, sooner or later."""
    ports = {
        (one.service_account, one.port, one.protocol): one
        for answer in answers
        for one in answer.foreseen
    }
    return sorted(ports.values(), key=lambda one: (one.granted, one.service_account, one.port))


def problems_together(answers: Iterable[Iterable[pb.Problem]]) -> list[pb.Problem]:
    """Each Problem once, as one replica lists them."""
    problems = {one.SerializeToString(deterministic=True): one for each in answers for one in each}
    return sorted(problems.values(), key=_order)


def _add(policy: pb.PolicyStatus, other: pb.PolicyStatus) -> None:
    policy.accepted = policy.accepted and other.accepted
    policy.in_conflict = policy.in_conflict or other.in_conflict
    policy.affected_sidecars += other.affected_sidecars
    policy.acknowledged_sidecars += other.acknowledged_sidecars
    policy.rejecting_sidecars += other.rejecting_sidecars
    problems = problems_together((policy.problems, other.problems))
    del policy.problems[:]
    policy.problems.extend(problems)


def _order(problem: pb.Problem) -> tuple[str, ...]:
    return problem.kind, problem.namespace, problem.name, problem.field, problem.message
