"""`towpath audit`: what would be refused if egress passthrough were switched off now."""

from __future__ import annotations

from typing import Any

import click

from towpath.answers.audit import Judgement
from towpath.app import Offline
from towpath.cli.access_log import Reading, flow_fields, shown_request, shown_time
from towpath.cli.judged import POLICIES_OFF, Audit, audited, judged_options, verdict_code
from towpath.cli.listing import Column, Listing, output_option, show
from towpath.cli.live import LiveReading
from towpath.cli.place import Place
from towpath.cli.settings import SettingsCommand
from towpath.model.names import Account
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import Tally

HEADINGS = ("FROM", "TO", "PORT", "PROTOCOL", "REQUEST", "REFUSED", "FIRST", "LAST", "WHY")


@click.command(cls=SettingsCommand)
@judged_options
@click.option("--paths", is_flag=True, help="Judge HTTP requests by their paths too.")
@output_option
def audit(
    *, judge: Offline | Place, reading: Reading | LiveReading, source: Account | None, output: str
) -> None:
    """Say what would be refused if egress passthrough were switched off now.

    What sidecars have let out is judged by the policies of a folder (--manifests), of a running
    server (--server), or of the replicas in a cluster, as `towpath explain` judges it. Exit code 0:
    all of it would still leave; 1: something would be refused, or cannot be judged; 2: bad usage,
    or no answer, or not of all replicas.
    """
    result = audited(reading.flows, judge, source=source)
    remarks = [*reading.remarks(), *([] if result.policies_enabled else [POLICIES_OFF])]
    for remark in remarks:
        click.echo(remark, err=True)
    certain = not (result.refused or result.unknown)
    listing = Listing(
        [*map(Column, HEADINGS)],
        [_cells(*item) for item in result.refused],
        list(dict.fromkeys(f"{flow.target}:{flow.port}" for flow, _, _ in result.refused)),
        _document(result),
        [_summary(result)],
        exit_code=verdict_code(reading, certain=certain),
    )
    show(lambda: listing, output)


def _cells(flow: Flow, tally: Tally, judgement: Judgement) -> tuple[str, ...]:
    count = f"{judgement.refused}" + (
        f" to {judgement.refused + judgement.unclear}" if judgement.unclear else ""
    )
    return (
        *(str(judgement.account), flow.target, str(flow.port), str(flow.protocol)),
        *(shown_request(flow), count, shown_time(tally.first), shown_time(tally.last)),
        judgement.reason,
    )


def _summary(result: Audit) -> str:
    refused = result.refused
    accounts = len({one.account for _, _, one in refused})
    reports = sum(one.refused for _, _, one in refused)
    stay = sum(1 for _, _, one in result.items if one.stay and not (one.refused or one.unclear))
    text = f"{_plural(accounts, 'service account')} would lose {_plural(len(refused), 'flow')}"
    text += f" ({_plural(reports, 'report')}"
    if unclear := sum(one.unclear for _, _, one in refused):
        text += f", and perhaps {unclear} more"
    text += f"); {_plural(stay, 'flow')} would stay"
    denied = sum(1 for flow, _, _ in result.items if flow.verdict is Verdict.DENY)
    if denied:
        text += f"; {_plural(denied, 'flow')} refused already"
    if unknown := result.unknown:
        text += f"; {_plural(unknown, 'flow')} of pods that are not known: give --account"
    return text


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _document(result: Audit) -> dict[str, Any]:
    return {
        "policiesEnabled": result.policies_enabled,
        "unknown": result.unknown,
        "flows": [_item(*item) for item in result.items],
    }


def _item(flow: Flow, tally: Tally, judgement: Judgement) -> dict[str, Any]:
    return {
        "serviceAccount": str(judgement.account) if judgement.account else "",
        **flow_fields(flow, tally),
        "inside": judgement.inside,
        "count": tally.count,
        "stay": judgement.stay,
        "refused": judgement.refused,
        "unclear": judgement.unclear,
        "policies": list(judgement.policies),
        "reason": judgement.reason,
        "first": shown_time(tally.first),
        "last": shown_time(tally.last),
    }
