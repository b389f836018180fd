"""`towpath observe`: what leaves the mesh, and what is refused."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from towpath.cli.access_log import (
    Reading,
    flow_order,
    log_options,
    read_log,
    shown_request,
    shown_time,
)
from towpath.cli.folder import MESH, offline
from towpath.cli.settings import SettingsCommand, setting_options
from towpath.cli.table import print_table
from towpath.model.names import Account
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import Tally

HEADINGS = ("FROM", "TO", "PORT", "PROTOCOL", "REQUEST", "VERDICT", "BY", "COUNT", "FIRST", "LAST")

Row = tuple[Flow, Tally, tuple[str, ...]]
"""A flow, its tally, and the policies that its verdict is due to."""


@click.command(cls=SettingsCommand)
@setting_options(*MESH)
@log_options
@click.option("--denied", is_flag=True, help="Only what was refused.")
@click.option("--paths", is_flag=True, help="Also the paths of HTTP requests, without queries.")
@click.option("-o", "--output", type=click.Choice(("table", "json")), default="table")
def observe(
    *,
    manifests: Path | None,
    access_log: str,
    account: Account | None,
    source: Account | None,
    since: datetime | None,
    denied: bool,
    paths: bool,
    output: str,
    **mesh: str,
) -> None:
    """Show what left the mesh and what was refused, from the access logs of sidecars.

    Reports are added up by service account, host or address, port, protocol, verdict and policy. A
    line names its pod by address: --manifests says whose pod that is, and which policies allow what
    the log itself does not name; --account says it for the log of one sidecar. Without either, FROM
    is the pod's address. No path and no header is kept.
    """
    folder = offline(manifests, **mesh) if manifests else None
    reading = read_log(access_log, folder, account=account, source=source, since=since, paths=paths)
    rows = [
        (flow, tally, folder.policies(flow, tally.counts) if folder else flow.policies)
        for flow, tally in sorted(reading.flows, key=flow_order)
        if not denied or flow.verdict is Verdict.DENY
    ]
    if output == "json":
        click.echo(json.dumps(_document(reading, rows), indent=2))
    else:
        print_table(HEADINGS, [_cells(*row) for row in rows])
    for remark in reading.remarks():
        click.echo(remark, err=True)


def _cells(flow: Flow, tally: Tally, policies: tuple[str, ...]) -> tuple[str, ...]:
    by = ", ".join(policies) or ("passthrough" if flow.passthrough else "-")
    return (
        *(flow.source, flow.target, str(flow.port), str(flow.protocol), shown_request(flow)),
        *(str(flow.verdict), by, str(tally.count), shown_time(tally.first), shown_time(tally.last)),
    )


def _document(reading: Reading, rows: list[Row]) -> dict[str, Any]:
    return {
        "flows": [_item(*row) for row in rows],
        "lines": reading.lines,
        "unusable": dict(reading.unusable),
        "leftOut": reading.flows.left_out,
    }


def _item(flow: Flow, tally: Tally, policies: tuple[str, ...]) -> dict[str, Any]:
    return {
        "serviceAccount": str(flow.account) if flow.account else "",
        "podAddress": flow.pod_address,
        "host": flow.host,
        "addresses": tally.addresses,
        "port": flow.port,
        "protocol": str(flow.protocol),
        "method": flow.method,
        "path": flow.path,
        "verdict": str(flow.verdict),
        "policies": list(policies),
        "passthrough": flow.passthrough,
        "count": tally.count,
        "first": shown_time(tally.first),
        "last": shown_time(tally.last),
    }
