"""`towpath status`: what has become of each policy on a running server."""

from __future__ import annotations

import json

import click
from google.protobuf.json_format import MessageToDict

from towpath.cli.place import Place, place_options
from towpath.cli.replicas import replicas_of
from towpath.cli.table import print_line, print_table
from towpath.cli.together import policies_together
from towpath.model.names import ObjectRef
from towpath.model.problem import problem_line
from towpath_api.v1 import inspector_pb2 as pb

HEADINGS = ("KIND", "NAME", "ACCEPTED", "CONFLICT", "SIDECARS", "PROBLEMS")


@click.command()
@place_options
@click.option("-o", "--output", type=click.Choice(("table", "json")), default="table")
def status(place: Place, output: str) -> None:
    """List the policies of a running server, and the objects that they refer to.

    SIDECARS: how many of the connected sidecars that are concerned have acknowledged its current
    version. Below the table: what is ignored, and why.
    """
    with replicas_of(place) as replicas:
        answers = replicas.ask(lambda stub: stub.ListPolicies, pb.ListPoliciesRequest())
    answer = pb.ListPoliciesResponse(policies=policies_together(answers.messages.values()))
    if output == "json":
        click.echo(json.dumps(MessageToDict(answer), indent=2))
    else:
        _print(answer)
    answers.warn()
    raise SystemExit(answers.exit_code)


def _print(answer: pb.ListPoliciesResponse) -> None:
    print_table(HEADINGS, [_row(policy) for policy in answer.policies])
    for policy in answer.policies:
        for problem in policy.problems:
            ref = ObjectRef(policy.kind, policy.namespace, policy.name)
            field, reason, message = problem.field, problem.reason, problem.message
            print_line(problem_line(ref, field, reason, message, problem.source))


def _row(policy: pb.PolicyStatus) -> tuple[str, ...]:
    return (
        policy.kind,
        f"{policy.namespace}/{policy.name}",
        "yes" if policy.accepted else "no",
        "yes" if policy.in_conflict else "no",
        f"{policy.acknowledged_sidecars}/{policy.affected_sidecars}",
        str(len(policy.problems)),
    )
