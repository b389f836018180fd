"""`towpath status`: what has become of each policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import click

from towpath.cli.listing import Cell, Column, Listing, age, listing_options, show, summary_of
from towpath.cli.messages import document, line_of
from towpath.cli.place import Place, place_options
from towpath.cli.replicas import Replicas, replicas_of
from towpath.cli.together import foreseen_together, policies_together, refusals_together
from towpath.clock import utc_now
from towpath_api.v1 import inspector_pb2 as pb

COLUMNS = (
    *(Column("KIND"), Column("NAME"), Column("ACCEPTED"), Column("CONFLICT"), Column("SIDECARS")),
    *(Column("REJECTING", wide=True), Column("PROBLEMS")),
)


_SHOWN = 10


@click.command()
@place_options
@listing_options
def status(place: Place, output: str, *, watch: bool) -> None:
    """List the policies of the control plane, and the objects that they refer to.

    SIDECARS: how many of the connected sidecars that are concerned have acknowledged its current
    version, on all replicas. Below the table: what is ignored, and why; and with permissive mode
    on, what TrafficTargets would refuse without it, as sidecars have reported it in the last hour;
    of ports of which nobody reports, what is foreseen by plan.

    Exit code 0: every replica has answered; 2: one has not, and standard error says why.
    """
    with replicas_of(place) as replicas:
        show(lambda: _listing(replicas), output, watch=watch)


def _listing(replicas: Replicas) -> Listing:
    answers = replicas.ask(lambda stub: stub.ListPolicies, pb.ListPoliciesRequest())
    answers.warn()
    policies = policies_together(answers.messages.values())
    refusals = refusals_together(answers.messages.values())
    counts = Counter(_state(one) for one in policies)
    return Listing(
        COLUMNS,
        [_row(policy) for policy in policies],
        [f"{one.kind}/{one.namespace}/{one.name}" for one in policies],
        {
            "policies": [document(policy) for policy in policies],
            "countsRefusals": any(one.counts_refusals for one in answers.messages.values()),
            "wouldDeny": [document(flow) for flow in refusals],
            "silentNamespaces": _silent(answers.messages.values()),
            "foreseen": [document(one) for one in foreseen_together(answers.messages.values())],
            "unanswered": dict(answers.faults),
        },
        [
            *(line_of(problem) for policy in policies for problem in policy.problems),
            *_switch(answers.messages.values(), refusals),
        ],
        summary_of(len(policies), "policy", counts),
        answers.exit_code,
    )


def _switch(
    answers: Collection[pb.ListPoliciesResponse], refusals: Sequence[pb.Flow]
) -> Iterator[str]:
    """What switching permissive mode off would refuse, as far as sidecars say so."""
    if not any(answer.counts_refusals for answer in answers):
        return
    now, without = utc_now().timestamp(), "without permissive mode"
    for flow in refusals[:_SHOWN]:
        caller = flow.service_account or flow.pod_address or "an unknown caller"
        why = "no TrafficTarget names it"
        if flow.policies:
            why = f"TrafficTarget {', '.join(flow.policies)} grants it other requests"
        seconds = now - flow.last.ToMicroseconds() / 1e6
        yield (
            f"{without} {flow.count} {flow.method} of {caller} to {flow.host or flow.address}, "
            f"port {flow.port}, would be refused, the last {age(seconds)} ago: {why}"
        )
    if len(refusals) > _SHOWN:
        yield f"{len(refusals) - _SHOWN} more of these: towpath observe --inside"
    silent = _silent(answers)
    foreseen = foreseen_together(answers)
    yield from map(_foreseen, foreseen[:_SHOWN])
    if len(foreseen) > _SHOWN:
        yield f"foreseen of {len(foreseen) - _SHOWN} more ports: towpath status -o json"
    if silent:
        names = ", ".join(silent[:_SHOWN]) + (" and others" if len(silent) > _SHOWN else "")
        yield (
            f"{without}: sidecars of {names} count what would be refused, and do not report it "
            "(spec.observability.observeEgress: reports); their logs and metrics have it"
        )
    elif not refusals:
        yield f"{without} nothing would be refused of what was reported in the last hour"


def _foreseen(one: pb.ForeseenRefusals) -> str:
    """One port of which nobody reports: by plan alone, which says nothing of who calls."""
    callers = ", ".join(one.callers) + (" and more" if one.refused > len(one.callers) else "")
    return (
        f"foreseen by plan, not seen: without permissive mode port {one.port} ({one.protocol}) of "
        f"{one.service_account} refuses {one.refused} of {one.refused + one.granted} other service "
        f"accounts, which no TrafficTarget lets in there: {callers}"
    )


def _silent(answers: Collection[pb.ListPoliciesResponse]) -> list[str]:
    return sorted({name for answer in answers for name in answer.silent_namespaces})


def _state(policy: pb.PolicyStatus) -> str:
    if not policy.accepted:
        return "not accepted"
    if policy.rejecting_sidecars:
        return "rejected"
    waits = policy.acknowledged_sidecars < policy.affected_sidecars
    return "waiting" if waits else "accepted"


def _row(policy: pb.PolicyStatus) -> Sequence[Cell | str]:
    waits = policy.acknowledged_sidecars < policy.affected_sidecars
    problems = len(policy.problems)
    return (
        policy.kind,
        f"{policy.namespace}/{policy.name}",
        Cell("yes", "good") if policy.accepted else Cell("no", "bad"),
        Cell("yes", "bad") if policy.in_conflict else "no",
        Cell(
            f"{policy.acknowledged_sidecars}/{policy.affected_sidecars}", "pending" if waits else ""
        ),
        Cell(str(policy.rejecting_sidecars), "bad" if policy.rejecting_sidecars else ""),
        Cell(str(problems), "pending" if problems else ""),
    )
