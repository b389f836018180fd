"""`towpath observe`: what leaves the mesh, and what is refused."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from towpath.cli.access_log import (
    Reading,
    flow_fields,
    flow_order,
    log_options,
    read_reports,
    shown_request,
    shown_time,
)
from towpath.cli.folder import MESH, offline
from towpath.cli.listing import Column, Listing, output_option, show
from towpath.cli.live import LiveReading, follow_live
from towpath.cli.place import Place, reports_place_options
from towpath.cli.server import NoAnswer
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.model.names import Account
from towpath.model.text import printable
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import Tally

FOLLOWED = ("table", "json")
"""The forms of a listing that goes on, one flow a line."""
HEADINGS = ("FROM", "TO", "PORT", "PROTOCOL", "REQUEST", "VERDICT", "BY", "COUNT", "FIRST", "LAST")

Row = tuple[Flow, Tally, tuple[str, ...]]
"""A flow, its tally, and the policies that its verdict is due to."""


@click.command(cls=SettingsCommand)
@setting_options(*MESH)
@reports_place_options
@log_options
@click.option(
    "--inside",
    is_flag=True,
    help="What TrafficTargets refuse inside the mesh, or would refuse without permissive mode.",
)
@click.option("--denied", is_flag=True, help="Only what was refused.")
@click.option("--paths", is_flag=True, help="Also the paths of HTTP requests, without queries.")
@click.option("--watch", is_flag=True, help="Go on with what is reported to the control plane.")
@output_option
def observe(
    *,
    manifests: Path | None,
    place: Place | None,
    access_log: str | None,
    account: Account | None,
    source: Account | None,
    since: datetime | None,
    inside: bool,
    denied: bool,
    paths: bool,
    watch: bool,
    output: str,
    **mesh: str,
) -> None:
    """Show what left the mesh and what was refused, as sidecars report it.

    Reports are added up by service account, host or address, port, protocol, verdict and policy.
    They come from the control plane, if spec.observability.observeEgress of the MeshConfig is
    reports, or from a log (--access-log). A line of a log names its pod by address: --manifests
    says whose pod that is, and which policies allow what the log itself does not name; --account
    says it for the log of one sidecar. No path and no header is kept.

    With --inside the reports are those of called pods, FROM is who called, TO the service account
    of the pod, and BY the TrafficTargets that let the one call the other with something else.
    """
    if watch and place is not None:
        if output not in FOLLOWED:
            raise click.UsageError(f"--watch: -o is one of {', '.join(FOLLOWED)}, not {output}")
        _follow(
            place,
            source=source,
            since=since,
            denied=denied,
            inside=inside,
            as_json=output == "json",
        )
        return
    folder = offline(manifests, **mesh) if manifests and access_log else None
    reading = read_reports(
        access_log,
        place,
        folder,
        account=account,
        source=source,
        since=since,
        paths=paths,
        refusals=inside,
    )
    judge = None if inside else folder
    rows = [
        (flow, tally, judge.policies(flow, tally.counts) if judge else flow.policies)
        for flow, tally in sorted(reading.flows, key=flow_order)
        if not denied or flow.verdict is Verdict.DENY
    ]
    for remark in reading.remarks():
        click.echo(remark, err=True)
    listing = Listing(
        [*map(Column, HEADINGS)],
        [_cells(*row) for row in rows],
        list(dict.fromkeys(f"{flow.target}:{flow.port}" for flow, _, _ in rows)),
        _document(reading, rows),
        exit_code=0 if reading.whole else NoAnswer.exit_code,
    )
    show(lambda: listing, output)


def _follow(
    place: Place,
    *,
    source: Account | None,
    since: datetime | None,
    denied: bool,
    inside: bool,
    as_json: bool,
) -> None:
    """Print each flow when it is reported; end when whoever looks on ends it."""
    widths = [*map(len, HEADINGS)]
    with contextlib.suppress(KeyboardInterrupt):
        if not as_json:
            click.echo("  ".join(HEADINGS))
        for items in follow_live(place, source=source, since=since, denied=denied, inside=inside):
            for flow, tally in reversed(items):
                if as_json:
                    click.echo(json.dumps(_item(flow, tally, flow.policies)))
                    continue
                cells = [*map(printable, _cells(flow, tally, flow.policies))]
                widths = [max(*pair) for pair in zip(widths, map(len, cells), strict=True)]
                padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
                click.echo("  ".join(padded).rstrip())


def _cells(flow: Flow, tally: Tally, policies: tuple[str, ...]) -> tuple[str, ...]:
    by = ", ".join(policies) or ("passthrough" if flow.passthrough else "-")
    return (
        *(flow.source, flow.target, str(flow.port), str(flow.protocol), shown_request(flow)),
        *(str(flow.verdict), by, str(tally.count), shown_time(tally.first), shown_time(tally.last)),
    )


def _document(reading: Reading | LiveReading, rows: list[Row]) -> dict[str, Any]:
    flows = [_item(*row) for row in rows]
    if isinstance(reading, LiveReading):
        counts = {"streams": reading.streams, "shed": reading.shed, "leftOut": reading.left_out}
        return {"flows": flows, **counts}
    return {
        "flows": flows,
        "lines": reading.lines,
        "unusable": dict(reading.unusable),
        "leftOut": reading.flows.left_out,
    }


def _item(flow: Flow, tally: Tally, policies: tuple[str, ...]) -> dict[str, Any]:
    return {
        "serviceAccount": str(flow.account) if flow.account else "",
        **flow_fields(flow, tally),
        "policies": list(policies),
        "passthrough": flow.passthrough,
        "count": tally.count,
        "first": shown_time(tally.first),
        "last": shown_time(tally.last),
    }
