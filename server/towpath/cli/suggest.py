"""`towpath suggest`: the smallest policies that would allow what sidecars report."""

from __future__ import annotations

from dataclasses import replace

import click

from towpath.answers.proposal import Proposals, propose
from towpath.answers.proposal_yaml import manifests as as_yaml
from towpath.app import Offline
from towpath.cli.access_log import Reading
from towpath.cli.judged import POLICIES_OFF, Audit, audited, judged_options, verdict_code
from towpath.cli.live import LiveReading
from towpath.cli.place import Place
from towpath.cli.settings import SettingsCommand
from towpath.model.names import Account
from towpath.model.text import printable
from towpath.observe.flow import Flow, Verdict

SHOWN = 20
"""How many flows that no policy can allow are named one by one."""


@click.command(cls=SettingsCommand)
@judged_options
@click.option("--paths", is_flag=True, help="Allow the paths that were requested, and no others.")
@click.option("--denied", is_flag=True, help="Also allow what was refused.")
@click.option(
    "--wildcards",
    is_flag=True,
    help="Write *.example.com for many names below example.com: wider than what was reported.",
)
def suggest(
    *,
    judge: Offline | Place,
    reading: Reading | LiveReading,
    source: Account | None,
    denied: bool,
    wildcards: bool,
) -> None:
    """Write the smallest policies that would allow what `towpath audit` lists.

    Egresses and HTTPRouteGroups, grouped, as YAML on standard output; where one allows more than
    was reported, a comment says so. Each flow has been judged by them before they are printed.
    Exit code 0: with them all of it would leave; 1: something would still be refused, or cannot be
    judged; 2: bad usage, or no answer, or not of all replicas.
    """
    flows = ((_let_out(flow) if denied else flow, tally) for flow, tally in reading.flows)
    audit = audited(flows, judge, source=source)
    needs = [(flow, tally.counts) for flow, tally, one in audit.refused if one.refused]
    proposals = propose(needs, wildcards=wildcards)
    click.echo(as_yaml(proposals.proposals), nl=False)
    for line in (*reading.remarks(), *_remarks(audit, proposals)):
        click.echo(printable(line), err=True)
    certain = not (proposals.left or audit.unclear or audit.unknown)
    raise SystemExit(verdict_code(reading, certain=certain))


def _let_out(flow: Flow) -> Flow:
    """The flow as if it had been let out, so that it is judged like the others."""
    return replace(flow, verdict=Verdict.ALLOW)


def _remarks(audit: Audit, proposals: Proposals) -> list[str]:
    """What is to be said of what the policies do, and of what they leave."""
    accounts = len({one.account for _, _, one in audit.refused})
    allowed = len(audit.refused) - len(audit.unclear) - len(proposals.left)
    policies = len(proposals.proposals)
    lines = [f"{policies} policies allow {allowed} flows of {accounts} service accounts"]
    for flow, reason in proposals.left[:SHOWN]:
        lines.append(f"{flow.source} to {flow.target}:{flow.port} is not allowed: {reason}")
    if (more := len(proposals.left) - SHOWN) > 0:
        lines.append(f"{more} more flows are not allowed")
    if unclear := audit.unclear:
        text = "flows depend on paths or headers that were not kept: give --paths"
        lines.append(f"{len(unclear)} {text} (the first: {unclear[0][2].reason})")
    if unknown := audit.unknown:
        lines.append(f"{unknown} flows are of pods that are not known: give --account")
    if not audit.policies_enabled:
        lines.append(POLICIES_OFF)
    return lines
