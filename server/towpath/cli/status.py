"""`towpath status`: what has become of each policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import click

from towpath.cli.listing import Cell, Column, Listing, listing_options, show, summary_of
from towpath.cli.messages import document, line_of
from towpath.cli.place import Place, place_options
from towpath.cli.replicas import Replicas, replicas_of
from towpath.cli.together import policies_together
from towpath_api.v1 import inspector_pb2 as pb

COLUMNS = (
    *(Column("KIND"), Column("NAME"), Column("ACCEPTED"), Column("CONFLICT"), Column("SIDECARS")),
    *(Column("REJECTING", wide=True), Column("PROBLEMS")),
)


@click.command()
@place_options
@listing_options
def status(place: Place, output: str, *, watch: bool) -> None:
    """List the policies of the control plane, and the objects that they refer to.

    SIDECARS: how many of the connected sidecars that are concerned have acknowledged its current
    version, on all replicas. Below the table: what is ignored, and why.

    Exit code 0: every replica has answered; 2: one has not, and standard error says why.
    """
    with replicas_of(place) as replicas:
        show(lambda: _listing(replicas), output, watch=watch)


def _listing(replicas: Replicas) -> Listing:
    answers = replicas.ask(lambda stub: stub.ListPolicies, pb.ListPoliciesRequest())
    answers.warn()
    policies = policies_together(answers.messages.values())
    counts = Counter(_state(one) for one in policies)
    return Listing(
        COLUMNS,
        [_row(policy) for policy in policies],
        [f"{one.kind}/{one.namespace}/{one.name}" for one in policies],
        {
            "policies": [document(policy) for policy in policies],
            "unanswered": dict(answers.faults),
        },
        [line_of(problem) for policy in policies for problem in policy.problems],
        summary_of(len(policies), "policy", counts),
        answers.exit_code,
    )


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
